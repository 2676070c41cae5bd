"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "search_studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("file", sa.JSON(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("recipe_hash", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("layers", sa.Integer(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=True),
        sa.Column("fingerprints", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_search_studies_name")),
    )
    op.create_table(
        "search_depths",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.Column("optuna_study", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["search_studies.id"],
            name=op.f("fk_search_depths_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "depth", name=op.f("pk_search_depths")),
        sa.UniqueConstraint("optuna_study", name=op.f("uq_search_depths_optuna_study")),
    )
    op.create_table(
        "search_queries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["search_studies.id"],
            name=op.f("fk_search_queries_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_queries")),
        sa.UniqueConstraint(
            "study_id", "task", "query", name=op.f("uq_search_queries_study_id_task_query")
        ),
    )
    op.create_table(
        "search_trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("subset", sa.String(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("breaks", sa.Integer(), nullable=False),
        sa.Column("result_token", sa.Integer(), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("optuna_number", sa.Integer(), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("cut_seconds", sa.Double(), nullable=True),
        sa.Column("train_seconds", sa.Double(), nullable=True),
        sa.Column("evaluate_seconds", sa.Double(), nullable=True),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=True),
        sa.Column("notes", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'complete', 'failed')",
            name=op.f("ck_search_trials_state"),
        ),
        sa.ForeignKeyConstraint(
            ["study_id", "depth"],
            ["search_depths.study_id", "search_depths.depth"],
            name=op.f("fk_search_trials_study_id_depth"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_trials")),
        sa.UniqueConstraint(
            "study_id", "subset", "seed", name=op.f("uq_search_trials_study_id_subset_seed")
        ),
    )
    op.create_index(
        op.f("ix_search_trials_study_id_depth_state"),
        "search_trials",
        ["study_id", "depth", "state"],
        unique=False,
    )
    op.create_table(
        "search_query_scores",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("query_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["search_queries.id"],
            name=op.f("fk_search_query_scores_query_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["search_trials.id"],
            name=op.f("fk_search_query_scores_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "query_id", name=op.f("pk_search_query_scores")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_task_scores",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["search_trials.id"],
            name=op.f("fk_search_task_scores_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "task", name=op.f("pk_search_task_scores")),
    )


def downgrade() -> None:
    """Drop all tables."""
    op.drop_table("search_task_scores")
    op.drop_table("search_query_scores")
    op.drop_index(op.f("ix_search_trials_study_id_depth_state"), table_name="search_trials")
    op.drop_table("search_trials")
    op.drop_table("search_queries")
    op.drop_table("search_depths")
    op.drop_table("search_studies")
