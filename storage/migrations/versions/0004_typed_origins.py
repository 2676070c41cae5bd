"""Typed columns for facts that were part of a text, and the field's word for a mirrored trial.

The sampler that proposed a trial, and whether a trial was set aside, get columns of their own;
`told` becomes `mirrored`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# the literals of this release: a migration must not change with the code
_NOT_BY_SAMPLER = ("first", "repeat", "replicate", "manual")
_SET_ASIDE = "set aside: "
_TRIALS = sa.table(
    "search_trials",
    sa.column("id", sa.Integer()),
    sa.column("error", sa.String()),
    sa.column("set_aside", sa.Boolean()),
    sa.column("result_token", sa.Integer()),
)
_ATTEMPTS = sa.table(
    "search_attempts",
    sa.column("trial_id", sa.Integer()),
    sa.column("token", sa.Integer()),
    sa.column("outcome", sa.String()),
    sa.column("reason", sa.String()),
)


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

    error, reason = _TRIALS.c.error, _ATTEMPTS.c.reason
    op.execute(
        _TRIALS.update()
        .where(error.startswith(_SET_ASIDE))
        .values(set_aside=sa.true(), error=sa.func.substr(error, len(_SET_ASIDE) + 1))
    )
    op.execute(
        _ATTEMPTS.update()
        .where(reason.startswith(_SET_ASIDE))
        .values(reason=sa.func.substr(reason, len(_SET_ASIDE) + 1))
    )


def downgrade() -> None:
    """Put both back into their texts; the caller has dropped the views."""
    set_aside = (
        sa.select(_TRIALS.c.id)
        .where(_TRIALS.c.set_aside, _TRIALS.c.result_token == _ATTEMPTS.c.token)
        .scalar_subquery()
    )
    op.execute(
        _ATTEMPTS.update()
        .where(_ATTEMPTS.c.trial_id.in_(set_aside), _ATTEMPTS.c.outcome == "failed")
        .values(reason=sa.literal(_SET_ASIDE) + sa.func.coalesce(_ATTEMPTS.c.reason, ""))
    )
    op.execute(
        _TRIALS.update()
        .where(_TRIALS.c.set_aside)
        .values(error=sa.literal(_SET_ASIDE) + sa.func.coalesce(_TRIALS.c.error, ""))
    )

    for table in ("search_trials", "search_standings"):
        rows = sa.table(table, sa.column("origin"), sa.column("sampler"))
        op.execute(rows.update().where(rows.c.origin == "sampler").values(origin=rows.c.sampler))
        op.drop_column(table, "sampler")

    op.drop_column("search_trials", "set_aside")
    op.alter_column("search_trials", "mirrored", new_column_name="told")
