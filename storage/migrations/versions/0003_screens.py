"""Scores of screens, and how well they predict trials."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "search_screens",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("weights", sa.String(), nullable=False),
        sa.Column("subset", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("ndcg", sa.Double(), nullable=False),
        sa.Column("agreement", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["search_studies.id"],
            name=op.f("fk_search_screens_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "weights", "subset", name=op.f("pk_search_screens")),
    )
    columns: list[sa.Column[float]] = [
        sa.Column(name, sa.Double(), nullable=False)
        for name in (
            "spearman", "spearman_low", "spearman_high", "recall", "recall_low", "recall_high",
        )
    ]  # fmt: skip
    op.create_table(
        "search_screen_fits",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("weights", sa.String(), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("subsets", sa.Integer(), nullable=False),
        *columns,
        sa.Column("measured_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["search_studies.id"],
            name=op.f("fk_search_screen_fits_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "study_id", "depth", "weights", "measure", name=op.f("pk_search_screen_fits")
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("search_screen_fits")
    op.drop_table("search_screens")
