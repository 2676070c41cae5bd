"""The store of a command: hints where there is none, closed at the end, passwords never shown."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from search.cli.store import connected, opened, require_depth
from search.errors import InputError, SearchError
from storage.database import read
from storage.errors import StoreUnavailableError
from storage.migrations import VERSION_TABLE
from storage.setup import is_ready, open_store
from tests.support.replays import store_at
from tests.support.stores import begin

START = "start one with `layer-search launch STUDY.toml`"


def test_missing_file_is_told_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, opened(f"sqlite:///{tmp_path}/none.db"):
        pass
    assert str(caught.value) == f"no store at {tmp_path}/none.db: {START}"
    assert list(tmp_path.iterdir()) == []


def test_empty_file_is_told_how_to_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError) as caught, opened(url):
        pass
    assert str(caught.value) == f"{url} holds no layer-search store: {START}"


def test_empty_database_is_told_how_to_start(postgres_url: str) -> None:
    with pytest.raises(InputError) as caught, opened(postgres_url):
        pass
    assert str(caught.value).endswith(f" holds no layer-search store: {START}")


def test_older_store_is_told_how_to_migrate(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    open_store(url, create=True).dispose()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")  # noqa: S608 - ours

    with pytest.raises(SearchError) as caught, opened(url):
        pass
    assert str(caught.value) == (
        f"{url} was made by another release: run `layer-search init` to migrate it"
    )


def test_store_that_is_not_there_can_be_connected_to(tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/store.db") as engine:
        assert not is_ready(engine)
    assert list(tmp_path.iterdir()) == []


def test_connections_are_closed_at_the_end(store: str) -> None:
    closed: list[Engine] = []
    open_store(store, create=True).dispose()

    with opened(store) as engine:
        event.listen(engine, "engine_disposed", closed.append)
    assert closed == [engine]


def test_connections_are_closed_after_an_error(store: str) -> None:
    closed: list[Engine] = []

    def fail() -> None:
        with connected(store) as engine:
            event.listen(engine, "engine_disposed", closed.append)
            reason = "the command failed"
            raise RuntimeError(reason)

    with pytest.raises(RuntimeError, match="the command failed"):
        fail()
    assert len(closed) == 1


def test_errors_of_the_driver_name_the_store_without_its_password() -> None:
    url = "postgresql://ann:s3cr3t@127.0.0.1:1/d"
    with pytest.raises(StoreUnavailableError) as caught, opened(url):
        pass
    message = str(caught.value)
    assert message.startswith("cannot use the store postgresql://ann:***@127.0.0.1:1/d: ")
    assert "s3cr3t" not in message
    assert "\n" not in message


def test_errors_of_statements_name_the_store_too(store: str) -> None:
    def ask() -> None:
        with store_at(store, create=True), opened(store) as engine, read(engine) as connection:
            connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(StoreUnavailableError, match=f"cannot use the store {store}: .*nowhere"):
        ask()


def test_depth_that_the_study_has_not_is_refused(store: str) -> None:
    with store_at(store, create=True) as engine:
        study = begin(engine, {4: 1, 7: 1})
    for depth in (None, 4, 7):
        require_depth(study, depth)
    with pytest.raises(InputError, match="study 's' has no depth 5: it has 4, 7"):
        require_depth(study, 5)
