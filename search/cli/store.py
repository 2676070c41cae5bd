"""The store of a command: opened once, closed at the end, its errors explained."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from search.errors import InputError, SearchError
from storage.database import available
from storage.errors import StoreMissingError, StoreOutdatedError
from storage.setup import await_answer, connect_store, require_answer, require_ready
from storage.studies import StudyRecord


@contextmanager
def connected(url: str, *, works: bool = False) -> Iterator[Engine]:
    """Connect to the store at `url`, whether there is one already or not.

    Errors of the database inside the block name the store without its password.

    Args:
        url: URL of the store.
        works: whether the command works on trials: it waits for a database that is away, where one
            that people sit before says so at once.

    Raises:
        storage.errors.InputError: the URL is bad.
        storage.errors.StorageError: the command works, and the role may only read.
        storage.errors.StoreUnavailableError: the database does not answer.
    """
    engine = connect_store(url)
    try:
        with available(engine.url):
            (await_answer if works else require_answer)(engine)
            yield engine
    finally:
        engine.dispose()


@contextmanager
def opened(url: str, *, works: bool = False) -> Iterator[Engine]:
    """Open the store at `url`, which must exist and have the schema of this release.

    Args:
        url: URL of the store.
        works: whether the command works on trials, and waits for a database that is away.

    Raises:
        InputError: there is no store.
        SearchError: it has the schema of another release.
        storage.errors.InputError: the URL is bad.
        storage.errors.StorageError: the command works, and the role may only read.
        storage.errors.StoreUnavailableError: the database does not answer.
    """
    with connected(url, works=works) as engine:
        try:
            require_ready(engine)
        except StoreMissingError as error:
            message = f"{error}: start one with `layer-search launch STUDY.toml`"
            raise InputError(message) from error
        except StoreOutdatedError as error:
            message = f"{error}: run `layer-search init` to migrate it"
            raise SearchError(message) from error
        yield engine


def require_stored_depth(study: StudyRecord, depth: int | None) -> None:
    """Refuse a depth that the study has not.

    Raises:
        InputError: it has not; the message lists the depths of the study.
    """
    if depth is not None and depth not in study.budgets:
        there = ", ".join(map(str, study.budgets))
        message = f"study {study.name!r} has no depth {depth}: it has {there}"
        raise InputError(message)
