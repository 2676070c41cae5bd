"""Creation and migration of a store: one step, under a lock, safe for many processes at once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from storage.database import (
    available,
    connect,
    display_url,
    explain,
    is_outage,
    parse_url,
    patient,
    read,
)
from storage.database.locks import SETUP_LOCK, locked
from storage.database.retry import PATIENCE_SECONDS
from storage.errors import InputError, StorageError, StoreMissingError, StoreOutdatedError
from storage.migrations import SCHEMA_VERSION, schema_version

_INSUFFICIENT_PRIVILEGE = "42501"  # an SQLSTATE

log = logging.getLogger("layer-search")


def open_store(url: str, *, create: bool = False) -> Engine:
    """Open the store at `url`, its schema at the version this release needs.

    For use from Python; commands open it through `search.cli.store`, which adds their hints.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.
        create: whether a missing store is created and an older one migrated.

    Raises:
        InputError: the URL is bad, or `create` is true and the folder of the file does not exist.
        StoreMissingError: the store does not exist and `create` is false.
        StoreOutdatedError: another release made the store and `create` is false.
        StorageError: a newer release made the store and `create` is true.
        StoreUnavailableError: the database does not answer.
    """
    engine = connect_store(url)
    try:
        with available(engine.url):
            require_answer(engine)
            if create:
                make_ready(engine)
            else:
                require_ready(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def connect_store(url: str) -> Engine:
    """Return an engine on `url`, whether there is a store or not; nothing is opened yet.

    Raises:
        InputError: the URL is bad.
    """
    return connect(parse_url(url))


def require_answer(engine: Engine) -> None:
    """Fail at once when the database does not answer; all that comes later waits out an outage."""
    if not _is_missing_file(engine.url):
        with engine.connect():
            pass


@patient
def await_answer(engine: Engine) -> None:
    """Wait until the database answers, for up to ten minutes, and say why it does not.

    Raises:
        StorageError: the role may only read.
    """
    try:
        require_answer(engine)
        if engine.dialect.name == "postgresql":
            _require_writer(engine)
    except DBAPIError as error:
        if is_outage(error):
            log.warning(explain(engine.url, error))
        raise


def _require_writer(engine: Engine) -> None:
    """Refuse a role that is set to read only, as opposed to a server that is.

    Raises:
        StorageError: it is.
    """
    query = text(
        "SELECT current_user, setting = 'on' AND source IN ('user', 'database user', 'client')"
        " FROM pg_settings WHERE name = 'default_transaction_read_only'"
    )
    with read(engine) as connection:
        role, is_reader = connection.execute(query).one()
    if is_reader:
        message = f"the role {role} may only read {display_url(engine.url)}: work as its owner"
        raise StorageError(message)


def is_ready(engine: Engine) -> bool:
    """Whether there is a store, its schema at the version this release needs."""
    return _version(engine) == SCHEMA_VERSION


def require_ready(engine: Engine) -> None:
    """Refuse a store that is missing, or has the schema of another release.

    Raises:
        StoreMissingError: there is no store.
        StoreOutdatedError: it has the schema of another release.
    """
    version = _version(engine)
    if version == SCHEMA_VERSION:
        return

    if _is_missing_file(engine.url):
        message = f"no store at {engine.url.database}"
        raise StoreMissingError(message)
    if version is None:
        message = f"{display_url(engine.url)} holds no layer-search store"
        raise StoreMissingError(message)
    message = f"{display_url(engine.url)} was made by another release"
    raise StoreOutdatedError(message)


def require_creatable(engine: Engine) -> None:
    """Refuse a place where `make_ready` would fail, before long work is begun for it.

    Raises:
        InputError: the folder of an SQLite file does not exist.
        StorageError: a newer release made the store.
    """
    folder = Path(engine.url.database or "").resolve().parent
    if _is_missing_file(engine.url) and not folder.is_dir():
        message = f"cannot keep a store in {folder}: no such folder"
        raise InputError(message)

    version = _version(engine)
    if version is not None and version > SCHEMA_VERSION:
        message = f"{display_url(engine.url)} was made by a newer release: upgrade layer-search"
        raise StorageError(message)


@patient
def make_ready(engine: Engine) -> None:
    """Create a missing store, and migrate an older one.

    Raises:
        InputError: the folder of an SQLite file does not exist.
        StorageError: a newer release made the store, the role may not, or others do not end.
    """
    if is_ready(engine):
        return
    require_creatable(engine)

    # imported here: needed once in the life of a store, it would slow every command down
    from storage.migrations.upgrade import upgrade  # noqa: PLC0415

    with _lock(engine):
        if is_ready(engine):  # another process was faster
            return
        try:
            upgrade(engine)
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
                raise
            place = display_url(engine.url)
            message = f"this role may not make or change the tables of {place}: let their owner"
            raise StorageError(message) from error


def _is_missing_file(url: URL) -> bool:
    """Whether `url` names an SQLite file that does not exist; opening one would create it."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


def _version(engine: Engine) -> str | None:
    """Return the schema version of the store; None when there is no store."""
    return None if _is_missing_file(engine.url) else schema_version(engine)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file.

    Raises:
        OSError: there can be no such file.
        StorageError: another process holds it for longer than any migration takes.
    """
    path.touch()  # the library would try again until its time is up, whatever the reason
    try:
        lock = FileLock(path).acquire(timeout=PATIENCE_SECONDS)
    except Timeout as error:
        message = (
            f"another process has held {path} for {PATIENCE_SECONDS} s: end it, or wait for it"
        )
        raise StorageError(message) from error

    with lock:
        yield


@contextmanager
def _lock(engine: Engine) -> Iterator[None]:
    """Let one process at a time set the store up."""
    if engine.dialect.name == "sqlite":
        with _file_lock(Path(f"{engine.url.database}.lock")):
            yield
        return

    # a transaction that waits beside the setup: the lock ends with it, whatever happens
    with locked(engine, SETUP_LOCK):
        yield
