"""Typed columns for facts that were part of a text: who chose a trial, and who set it aside."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# the literals of this release: a migration must not change with the code
_NOT_BY_SAMPLER = ("first", "repeat", "replicate", "manual")
_SET_ASIDE = "set aside: "


def upgrade() -> None:
    """Move the sampler's name and the mark of a trial set aside into columns of their own.

    Nothing is rebuilt: SQLite drops the old table for that, and its scores would go with it.
    """
    op.alter_column("search_trials", "told", new_column_name="mirrored")
    op.add_column("search_trials", sa.Column("sampler", sa.String(), nullable=True))
    op.add_column(
        "search_trials",
        sa.Column("set_aside", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.add_column("search_standings", sa.Column("sampler", sa.String(), nullable=True))

    for table in ("search_trials", "search_standings"):
        rows = sa.table(table, sa.column("origin"), sa.column("sampler"))
        op.execute(
            rows.update()
            .where(rows.c.origin.not_in(_NOT_BY_SAMPLER))
            .values(sampler=rows.c.origin, origin="sampler")
        )

    trials = sa.table("search_trials", sa.column("error", sa.String()), sa.column("set_aside"))
    op.execute(
        trials.update()
        .where(trials.c.error.startswith(_SET_ASIDE))
        .values(set_aside=sa.true(), error=sa.func.substr(trials.c.error, len(_SET_ASIDE) + 1))
    )


def downgrade() -> None:
    """Put both back into their texts."""
    trials = sa.table("search_trials", sa.column("error", sa.String()), sa.column("set_aside"))
    op.execute(
        trials.update()
        .where(trials.c.set_aside)
        .values(error=sa.literal(_SET_ASIDE) + sa.func.coalesce(trials.c.error, ""))
    )

    for table in ("search_trials", "search_standings"):
        rows = sa.table(table, sa.column("origin"), sa.column("sampler"))
        op.execute(rows.update().where(rows.c.origin == "sampler").values(origin=rows.c.sampler))
        op.drop_column(table, "sampler")

    op.drop_column("search_trials", "set_aside")
    op.alter_column("search_trials", "mirrored", new_column_name="told")
