"""The upgrade of a store to the newest schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.database import display_url, read, write
from storage.database.engine import enable_write_ahead_log
from storage.database.locks import locked, table_lock
from storage.database.optuna_storage import create_optuna_tables
from storage.errors import StorageError
from storage.leaderboard.standings import rebuild_standings
from storage.leaderboard.views import VIEWS
from storage.migrations import VERSION_TABLE, schema_version
from storage.schema import Table


def alembic_config() -> Config:
    """Return Alembic's settings for our migrations."""
    config = Config()
    config.set_main_option("script_location", str(files("storage") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine) -> None:
    """Bring our tables to the newest schema, and let Optuna create its own.

    Our part is one transaction. The caller holds the lock of the setup.

    Raises:
        StorageError: a newer release made the store.
    """
    config = alembic_config()
    current = schema_version(engine)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        message = f"{display_url(engine.url)} was made by a newer release: upgrade layer-search"
        raise StorageError(message)

    if engine.dialect.name == "sqlite":
        enable_write_ahead_log(engine)
    create_optuna_tables(engine.url)

    with _exclusive(engine) as connection:
        for name in reversed(VIEWS):
            connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        rebuild_standings(connection)
        for definition in VIEWS.values():  # tables are migrated, views are made anew
            connection.execute(text(definition))


@contextmanager
def _exclusive(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction with exclusive use of our tables and views.

    Raises:
        StorageError: others use them, and do not end; the message names them.
    """
    if engine.dialect.name == "sqlite":
        with write(engine) as connection:
            yield connection
        return

    # all at once: a migration that waits in its midst would hold up every worker meanwhile
    names = [*Table.metadata.tables, VERSION_TABLE, *VIEWS]
    with read(engine) as connection:
        lock = table_lock(connection, names, "migrate")
    with locked(engine, lock) as connection:
        yield connection
