"""Attempts, standings, and what tells one study of a name from the next."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; `storage.setup` then computes the standings from the trials.

    Nothing is rebuilt: SQLite drops the old table for that, and its scores would go with it.
    """
    op.add_column(
        "search_studies",
        sa.Column("uid", sa.String(), nullable=False, server_default=sa.text("''")),
    )
    op.add_column("search_studies", sa.Column("versions", sa.JSON(), nullable=True))
    connection = op.get_bind()
    for study in connection.execute(sa.text("SELECT id FROM search_studies")).scalars().all():
        named = sa.text("UPDATE search_studies SET uid = :uid WHERE id = :id")
        connection.execute(named, {"uid": uuid4().hex, "id": study})
    op.create_index(op.f("ix_search_studies_uid"), "search_studies", ["uid"], unique=True)
    for name in ("taken", "leader_seeds", "scored"):
        number = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column("search_depths", number)
    op.add_column(
        "search_depths", sa.Column("critical", sa.Double(), nullable=False, server_default="0")
    )
    op.add_column("search_depths", sa.Column("leader", sa.String(), nullable=True))
    op.add_column("search_depths", sa.Column("seed_variance", sa.Double(), nullable=True))
    op.execute(
        "UPDATE search_depths SET taken = (SELECT count(*) FROM search_trials AS t"
        " WHERE t.study_id = search_depths.study_id AND t.depth = search_depths.depth"
        " AND t.origin <> 'manual')"
    )
    op.alter_column("search_trials", "breaks", new_column_name="crashes")
    op.add_column("search_trials", sa.Column("drift", sa.String(), nullable=True))
    op.create_index(
        op.f("ix_search_trials_study_id"),
        "search_trials",
        ["study_id"],
        sqlite_where=sa.text("told = 0"),
        postgresql_where=sa.text("NOT told"),
    )
    _attempts()
    _standings()


def _attempts() -> None:
    op.create_table(
        "search_attempts",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('complete', 'failed', 'interrupted', 'broke', 'died', 'released',"
            " 'superseded')",
            name=op.f("ck_search_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["search_trials.id"],
            name=op.f("fk_search_attempts_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "token", name=op.f("pk_search_attempts")),
    )
    op.execute(  # of earlier claims only the last is known
        "INSERT INTO search_attempts (trial_id, token, owner, started_at, ended_at, outcome)"
        " SELECT id, token, owner, coalesce(started_at, created_at), finished_at,"
        " CASE WHEN state IN ('complete', 'failed') THEN state END"
        " FROM search_trials WHERE owner IS NOT NULL"
    )


def _standings() -> None:
    op.create_table(
        "search_standings",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("subset", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("gaps", sa.Integer(), nullable=False),
        sa.Column("layers", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("mean", sa.Double(), nullable=False),
        sa.Column("seeds", sa.Integer(), nullable=False),
        sa.Column("squares", sa.Double(), nullable=False),
        sa.Column("lowest", sa.Double(), nullable=False),
        sa.Column("highest", sa.Double(), nullable=False),
        sa.Column("train_seconds", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=False),
        sa.Column("variance", sa.Double(), nullable=True),
        sa.Column("variance_seeds", sa.Integer(), nullable=True),
        sa.Column("difference_variance", sa.Double(), nullable=True),
        sa.Column("difference_seeds", sa.Integer(), nullable=True),
        sa.Column("compared_to", sa.String(), nullable=True),
        sa.Column("compared_seeds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id", "depth"],
            ["search_depths.study_id", "search_depths.depth"],
            name=op.f("fk_search_standings_study_id_depth"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "subset", name=op.f("pk_search_standings")),
    )
    op.create_index(
        op.f("ix_search_standings_study_id_depth_mean"),
        "search_standings",
        ["study_id", "depth", "mean"],
        unique=False,
    )
    op.create_index(
        op.f("ix_search_standings_study_id_depth"),
        "search_standings",
        ["study_id", "depth"],
        sqlite_where=sa.text("seeds > 1"),
        postgresql_where=sa.text("seeds > 1"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("search_standings")
    op.drop_table("search_attempts")
    op.drop_index(op.f("ix_search_trials_study_id"), "search_trials")
    op.drop_column("search_trials", "drift")
    op.alter_column("search_trials", "crashes", new_column_name="breaks")
    for name in ("taken", "leader", "leader_seeds", "scored", "seed_variance", "critical"):
        op.drop_column("search_depths", name)
    op.drop_index(op.f("ix_search_studies_uid"), "search_studies")
    op.drop_column("search_studies", "uid")
    op.drop_column("search_studies", "versions")
