"""Test set and share of each task in the mean of a trial."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Tasks of earlier studies are not listed: they count alike."""
    op.create_table(
        "search_tasks",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("test_set", sa.String(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["search_studies.id"],
            name=op.f("fk_search_tasks_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "task", name=op.f("pk_search_tasks")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("search_tasks")
