"""The margin of the pick: how much score a simpler subset may give away."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the margin of each study; older ones get the default of this release."""
    op.add_column(
        "search_studies",
        sa.Column("margin", sa.Double(), nullable=False, server_default=sa.text("0.005")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("search_studies", "margin")
