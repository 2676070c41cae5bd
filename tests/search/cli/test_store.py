"""The store of a command: what is said of one that is missing or of another release."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect

from search.cli.store import opened
from search.errors import InputError, SearchError
from storage.setup import connect_store
from storage.studies import study_names
from tests.support.schema import migrate_down


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
