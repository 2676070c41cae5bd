"""Creates and migrates a store: one step, under a lock, safe for many processes at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from filelock import FileLock
from sqlalchemy import URL, Engine, inspect, text

from storage import engine as engines
from storage import standings
from storage.errors import InputError, StorageError
from storage.migrations import SCHEMA_VERSION, VERSION_TABLE
from storage.retry import available
from storage.views import VIEWS

_LOCK_KEY = 7_265_148  # any number; the same one in every process that sets a store up
_LOCK_SECONDS = 120


def open_store(url: str, *, create: bool = False) -> Engine:
    """The engine of the store at `url`, its schema at the version this release needs.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.
        create: whether a missing store is created and an older one migrated.

    Raises:
        InputError: the URL is bad, or the store does not exist and `create` is false.
        StorageError: the store was made by a newer release, or an older one, and `create` is false.
        StoreUnavailableError: the database does not answer.
    """
    parsed = engines.parse(url)
    if parsed.get_backend_name() == "sqlite" and not create:
        _require_file(parsed)
    engine = engines.connect(parsed)
    try:
        with available(parsed):
            _make_ready(engine, parsed, create=create)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_ready(engine: Engine, url: URL, *, create: bool) -> None:
    """Bring the store to this release's schema, or refuse it."""
    if _version(engine) == SCHEMA_VERSION:
        return
    if not create:
        raise _not_ready(engine, url)
    with _lock(engine, url):
        _migrate(engine, url)


def _require_file(url: URL) -> None:
    if not Path(url.database or "").is_file():
        message = f"no store at {url.database}: start one with `layer-search launch STUDY.toml`"
        raise InputError(message)


def _not_ready(engine: Engine, url: URL) -> StorageError:
    """The error for a store whose schema is not this release's."""
    where = engines.display(url)
    if _version(engine) is None:
        message = (
            f"{where} holds no layer-search store: start one with `layer-search launch STUDY.toml`"
        )
        return InputError(message)
    message = f"{where} was made by another release: run `layer-search init` to migrate it"
    return StorageError(message)


def _version(engine: Engine) -> str | None:
    """Schema version of the store; None when there is no store."""
    if not inspect(engine).has_table(VERSION_TABLE):
        return None
    with engines.read(engine) as connection:
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


@contextmanager
def _lock(engine: Engine, url: URL) -> Iterator[None]:
    """Let one process at a time set the store up."""
    if engine.dialect.name == "sqlite":
        with FileLock(f"{url.database}.lock", timeout=_LOCK_SECONDS):
            yield
        return
    with engine.connect() as connection:  # the lock ends with this connection, whatever happens
        connection.execute(text("SET lock_timeout = 0; SET statement_timeout = 0"))
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCK_KEY})"))
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK_KEY})"))
            connection.invalidate()  # its settings must not go back into the pool


def _migrate(engine: Engine, url: URL) -> None:
    """Bring our schema to head in one transaction, and let Optuna create its own tables."""
    # imported here: what is needed once in the life of a store need not slow every command down
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    from storage.optuna_storage import create_tables  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("storage") / "migrations"))
    config.set_main_option("path_separator", "os")
    current = _version(engine)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        message = f"{engines.display(url)} was made by a newer release: upgrade layer-search"
        raise StorageError(message)
    if engine.dialect.name == "sqlite":
        engines.keep_log_ahead(engine)
    create_tables(url)
    with engines.write(engine) as connection:
        for name in reversed(VIEWS):
            connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        standings.rebuild(connection)
        for definition in VIEWS.values():  # tables are migrated, views are made anew
            connection.execute(text(definition))
