"""The tables of a store against the models, and migrations to any revision."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from storage.database import write
from storage.leaderboard.views import VIEWS
from storage.migrations import VERSION_TABLE
from storage.migrations.upgrade import alembic_config
from storage.schema import Table


def differences(engine: Engine) -> list[object]:
    """Return the differences between the tables of a store and the models, but for Optuna's."""

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or str(name).startswith("search_")

    with engine.connect() as connection:
        options = {
            "include_name": ours,
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Table.metadata))


def migrate_up(engine: Engine, revision: str) -> None:
    """Upgrade the tables of a store, without its views, to `revision`."""
    config = alembic_config()
    with write(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def migrate_down(engine: Engine, revision: str) -> None:
    """Downgrade a store to `revision`; its views go, as in any migration."""
    config = alembic_config()
    with write(engine) as connection:
        for view in reversed(VIEWS):  # the setup makes the views anew after every migration
            connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
