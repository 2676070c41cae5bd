"""The phase of a base's rhythm, beside its period."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: until now the global layer was the first of each period."""
    op.add_column(
        "search_studies",
        sa.Column("phase", sa.String(), nullable=False, server_default=sa.text("'first'")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("search_studies", "phase")
