"""The reference of a study, and the costs of its depths.

Studies that are there try no reference: they go on as they were. The intervals of the leaderboard
are computed with all other standings after the migration.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_COMPARED: tuple[tuple[str, sa.Double[float] | sa.Integer], ...] = (
    ("reference_variance", sa.Double()),
    ("reference_variance_seeds", sa.Integer()),
    ("reference_seeds", sa.Integer()),
)
_COSTS = (
    "parameters", "embedding_parameters", "layer_parameters", "bytes",
    "query_flops", "document_flops",
)  # fmt: skip
_SPEEDS = (
    "speedup", "speedup_low", "speedup_high", "tokens_per_second", "reference_tokens_per_second",
)  # fmt: skip


def upgrade() -> None:
    """Add columns and two tables."""
    op.add_column(
        "search_studies",
        sa.Column("reference", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.add_column(
        "search_depths", sa.Column("quantile", sa.Double(), nullable=False, server_default="0")
    )
    for name, kind in _COMPARED:
        op.add_column("search_standings", sa.Column(name, kind, nullable=True))

    op.create_table(
        "search_costs",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("subset", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in _COSTS],
        _of_study("search_costs"),
        sa.PrimaryKeyConstraint("study_id", "subset", name=op.f("pk_search_costs")),
    )
    op.create_table(
        "search_speeds",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("subset", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Double(), nullable=False) for name in _SPEEDS],
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("precision", sa.String(), nullable=False),
        sa.Column("measured_at", sa.DateTime(), nullable=False),
        _of_study("search_speeds"),
        sa.PrimaryKeyConstraint("study_id", "subset", "device", name=op.f("pk_search_speeds")),
    )


def downgrade() -> None:
    """Drop them; a reference becomes a trial that a person chose. The caller dropped the views."""
    op.drop_table("search_speeds")
    op.drop_table("search_costs")
    for name, _ in reversed(_COMPARED):
        op.drop_column("search_standings", name)
    op.drop_column("search_depths", "quantile")
    op.drop_column("search_studies", "reference")

    for table in ("search_trials", "search_standings"):
        rows = sa.table(table, sa.column("origin"))
        op.execute(rows.update().where(rows.c.origin == "reference").values(origin="manual"))


def _of_study(table: str) -> sa.ForeignKeyConstraint:
    """Return the key that lets the rows of a table go with their study."""
    return sa.ForeignKeyConstraint(
        ["study_id"],
        ["search_studies.id"],
        name=op.f(f"fk_{table}_study_id"),
        ondelete="CASCADE",
    )
