"""Opening, creating and refusing a store, on each database."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from storage import setup
from storage.database import connect, parse_url, write
from storage.database.roles import create_reader
from storage.errors import (
    InputError,
    StorageError,
    StoreMissingError,
    StoreOutdatedError,
    StoreUnavailableError,
)
from storage.migrations import SCHEMA_VERSION, VERSION_TABLE, upgrade
from storage.setup import (
    await_answer,
    connect_store,
    is_ready,
    make_ready,
    open_store,
    require_creatable,
    require_ready,
)
from storage.studies import find_study
from tests.support.databases import CUT, run_sql
from tests.support.patience import give_up_after
from tests.support.roles import READER, as_reader, drop_readers
from tests.support.schema import differences
from tests.support.stores import Dump, begin, query

OPENER = """
import multiprocessing, sys
import storage.migrations.upgrade  # before the processes part, so that they start together
from storage.setup import open_store

context = multiprocessing.get_context("fork")
start = context.Barrier(8)

def work():
    start.wait()
    open_store(sys.argv[1], create=True).dispose()

processes = [context.Process(target=work) for _ in range(8)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print(*(process.exitcode for process in processes))
"""


# stores that are there


def test_store_is_there_when_it_is_opened_again(store_url: str) -> None:
    first = open_store(store_url, create=True)
    made = begin(first, {4: 2, 7: 3}, fingerprints={"base": "f"})
    first.dispose()

    for create in (False, True):
        again = open_store(store_url, create=create)
        assert find_study(again, "s") == made
        assert made.budgets == {4: 2, 7: 3}
        again.dispose()


@pytest.mark.slow
def test_eight_processes_open_an_empty_database_at_once(store_url: str) -> None:
    words = [sys.executable, "-c", OPENER, store_url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.split() == ["0"] * 8

    engine = open_store(store_url)
    for table in (VERSION_TABLE, "alembic_version"):
        assert query(engine, f"SELECT count(*) FROM {table}") == [(1,)]  # noqa: S608 - constants
    assert differences(engine) == []
    engine.dispose()


def test_store_is_made_ready_step_by_step(store_url: str) -> None:
    engine = connect_store(store_url)
    assert is_ready(engine) is False
    with pytest.raises(StoreMissingError):
        require_ready(engine)

    for _ in range(2):
        make_ready(engine)
        assert is_ready(engine) is True
        require_ready(engine)
    engine.dispose()


# stores that are missing


def test_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^no store at .*missing\.db$") as caught:
        open_store(f"sqlite:///{tmp_path}/missing.db")
    assert caught.type is StoreMissingError
    assert list(tmp_path.iterdir()) == []


def test_empty_database_is_refused_and_left_empty(postgres_url: str) -> None:
    with pytest.raises(InputError, match=r"holds no layer-search store$") as caught:
        open_store(postgres_url)
    assert caught.type is StoreMissingError

    engine = connect(parse_url(postgres_url))
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("content", ["", "CREATE TABLE notes (text)"])
def test_somebody_elses_sqlite_file_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.db"
    path.touch()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(content)
    before = path.read_bytes()

    with pytest.raises(InputError, match="holds no layer-search store"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 40, encoding="utf-8")
    for create in (False, True):
        with pytest.raises(StoreUnavailableError, match=r"notes\.txt: file is not a database"):
            open_store(f"sqlite:///{path}", create=create)
    assert path.read_text(encoding="utf-8").startswith("these are notes")


# stores of other releases


def set_version(engine: Engine, version: str) -> None:
    """Say that a store has the schema `version`."""
    with write(engine) as connection:
        changed = text(f"UPDATE {VERSION_TABLE} SET version_num = :version")  # noqa: S608
        connection.execute(changed, {"version": version})


def test_store_of_an_older_release_is_refused_until_it_is_migrated(
    engine: Engine, store_url: str
) -> None:
    assert SCHEMA_VERSION > "0003"
    set_version(engine, "0003")
    with pytest.raises(StorageError, match=r" was made by another release$") as caught:
        open_store(store_url)
    assert caught.type is StoreOutdatedError
    assert not isinstance(caught.value, InputError)


def test_store_of_a_newer_release_is_refused_and_left_alone(
    engine: Engine, store_url: str, dump: Dump
) -> None:
    begin(engine, {4: 2, 7: 3}, fingerprints={"base": "f"})
    set_version(engine, "9999")
    before = dump(engine)

    with pytest.raises(StoreOutdatedError, match="made by another release"):
        open_store(store_url)
    with pytest.raises(StorageError, match="made by a newer release: upgrade layer-search"):
        open_store(store_url, create=True)
    assert dump(engine) == before
    assert is_ready(engine) is False


@pytest.mark.parametrize("refuse", [require_creatable, make_ready])
def test_folder_of_a_new_file_must_exist(refuse: Callable[[Engine], None], tmp_path: Path) -> None:
    engine = connect_store(f"sqlite:///{tmp_path}/none/store.db")
    with pytest.raises(InputError) as caught:
        refuse(engine)
    assert str(caught.value) == f"cannot keep a store in {tmp_path}/none: no such folder"
    assert list(tmp_path.iterdir()) == []


def test_store_in_a_missing_folder_is_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError, match=r"^no store at .*/none/store\.db$"):
        open_store(f"sqlite:///{tmp_path}/none/store.db")


def test_place_of_a_newer_store_is_refused_before_long_work(engine: Engine) -> None:
    require_creatable(engine)
    with write(engine) as connection:
        update = f"UPDATE {VERSION_TABLE} SET version_num = '9999'"  # noqa: S608 - a constant
        connection.execute(text(update))
    with pytest.raises(StorageError, match="made by a newer release: upgrade layer-search"):
        require_creatable(engine)


# the lock of an SQLite file


def test_folder_in_which_no_file_can_be_made_is_refused_at_once() -> None:
    with pytest.raises(OSError, match=r"/proc/store\.db\.lock"):
        open_store("sqlite:////proc/store.db", create=True)


def test_lock_that_is_held_for_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "PATIENCE_SECONDS", 0)
    held = FileLock(tmp_path / "store.db.lock", is_singleton=False)
    with held, pytest.raises(StorageError, match=r"has held .*store\.db\.lock for 0 s: end it"):
        open_store(f"sqlite:///{tmp_path}/store.db", create=True)
    open_store(f"sqlite:///{tmp_path}/store.db", create=True).dispose()


# a database that is away


def test_wait_for_a_database_says_why_it_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_up_after(monkeypatch, await_answer, 0.2)
    engine = connect_store("postgresql://ann:0Qz@127.0.0.1:1/search")
    with pytest.raises(OperationalError):
        await_answer(engine)
    message = "cannot use the store postgresql://ann:***@127.0.0.1:1/search: connection failed: "
    assert caplog.messages[0].startswith(message)
    assert "0Qz" not in caplog.text
    assert caplog.messages[1] == "the store does not answer, trying again (attempt 1)"


def test_wait_for_a_database_ends_when_it_answers(store_url: str, tmp_path: Path) -> None:
    engine = connect_store(store_url)
    await_answer(engine)
    assert list(tmp_path.iterdir()) == []  # a missing file is not made
    engine.dispose()


def test_role_that_may_only_read_is_refused_at_once(postgres_url: str) -> None:
    engine = open_store(postgres_url, create=True)
    create_reader(engine, READER)
    reader = connect_store(as_reader(postgres_url))
    try:
        with pytest.raises(StorageError, match=f"^the role {READER} may only read postgresql://"):
            await_answer(reader)
    finally:
        reader.dispose()
        engine.dispose()
        drop_readers(postgres_url)


def test_setup_goes_on_after_its_connections_were_cut(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(engine: Engine) -> None:
        monkeypatch.undo()
        run_sql(postgres_url, CUT)
        upgrade.upgrade(engine)

    monkeypatch.setattr(upgrade, "upgrade", cut)
    engine = open_store(postgres_url, create=True)
    assert differences(engine) == []
    engine.dispose()
