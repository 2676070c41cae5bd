"""The store of a command: hints where it cannot be used, closed at the end, no passwords."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, event, inspect, text

from search.cli.store import connected, opened, require_stored_depth
from search.errors import InputError, SearchError
from storage.database import read
from storage.errors import StoreUnavailableError
from storage.setup import await_answer, connect_store, is_ready, open_store
from storage.studies import study_names
from tests.support.patience import give_up_after
from tests.support.replays import store_at
from tests.support.schema import migrate_down
from tests.support.stores import begin


def refused(url: str) -> str:
    """Return the message for a store that a command cannot use."""
    with pytest.raises(SearchError) as caught, opened(url):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_store_is_open_inside_the_block(engine: Engine, store_url: str) -> None:
    with opened(store_url) as own:
        assert study_names(own) == study_names(engine) == []


def test_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    message = refused(f"sqlite:///{path}")
    assert message == f"no store at {path}: start one with `layer-search launch STUDY.toml`"
    assert list(tmp_path.iterdir()) == []


def test_empty_database_is_named_with_the_command_that_fills_it(postgres_url: str) -> None:
    message = refused(postgres_url)
    hint = "holds no layer-search store: start one with `layer-search launch STUDY.toml`"
    assert message.endswith(hint)
    with pytest.raises(InputError), opened(postgres_url):
        pass

    engine = connect_store(postgres_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_store_of_another_release_is_named_with_the_command_that_migrates_it(
    engine: Engine, store_url: str
) -> None:
    migrate_down(engine, "0003")
    message = refused(store_url)
    hint = " was made by another release: run `layer-search init` to migrate it"
    assert message.endswith(hint)


def test_empty_file_is_named_with_the_command_that_fills_it(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    hint = "holds no layer-search store: start one with `layer-search launch STUDY.toml`"
    assert refused(f"sqlite:///{path}") == f"sqlite:///{path} {hint}"


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


def test_command_that_works_waits_for_the_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_up_after(monkeypatch, await_answer, 0.2)
    url = "postgresql://ann@127.0.0.1:1/d"
    with pytest.raises(StoreUnavailableError), connected(url, works=True):
        pass
    assert "trying again" in caplog.text

    caplog.clear()
    with pytest.raises(StoreUnavailableError), connected(url):
        pass
    assert caplog.messages == []


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
        require_stored_depth(study, depth)
    with pytest.raises(InputError, match="study 's' has no depth 5: it has 4, 7"):
        require_stored_depth(study, 5)
