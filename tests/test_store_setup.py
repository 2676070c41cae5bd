"""Opening, creating and migrating a store, on each database."""

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, Engine, insert, inspect, text
from sqlalchemy.exc import IntegrityError

from storage import engine as engines
from storage import setup, studies
from storage.errors import InputError, StorageError, StoreUnavailableError
from storage.migrations import SCHEMA_VERSION, VERSION_TABLE
from storage.optuna_storage import open_optuna
from storage.schema import Table, Trial
from storage.views import VIEWS

Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]
OPENER = """
import sys
from storage import setup
import alembic.command, storage.optuna_storage
print("ready", flush=True)
sys.stdin.readline()
setup.open_store(sys.argv[1], create=True).dispose()
"""
# without letters and digits, so that no part of one occurs in a message by chance
SPECIAL = st.text(r"""@":/?#%&=+ !$'()*,;[]~^|\<>{}äß漢""", min_size=3, max_size=12)
PASSWORDS = st.tuples(SPECIAL, SPECIAL).map("0Qz".join)


def alembic() -> Config:
    """Alembic's own settings for our migrations."""
    config = Config()
    config.set_main_option("script_location", str(files("storage") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def differences(engine: Engine) -> list[object]:
    """How the tables of the store differ from the models, Optuna's tables aside."""

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


def begin(engine: Engine, name: str = "s") -> studies.StudyRecord:
    """A study with nothing in it."""
    return studies.begin(
        engine,
        name=name,
        file={"study": {"name": name}},
        folder="/",
        recipe_hash="hash",
        base="toy",
        layers=22,
        period=3,
        fingerprints={"base": "f"},
        versions={},
        budgets={4: 2, 7: 3},
    )


def test_what_was_created_is_there_when_opened_again(store_url: str) -> None:
    first = setup.open_store(store_url, create=True)
    made = begin(first)
    first.dispose()
    for create in (False, True):
        again = setup.open_store(store_url, create=create)
        assert studies.find(again, "s") == made
        assert made.budgets == {4: 2, 7: 3}
        again.dispose()


def test_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no store at .*missing\.db.*layer-search launch"):
        setup.open_store(f"sqlite:///{tmp_path}/missing.db")
    assert list(tmp_path.iterdir()) == []


def test_empty_database_is_refused_and_left_empty(postgres_url: str) -> None:
    with pytest.raises(InputError, match=r"holds no layer-search store.*layer-search launch"):
        setup.open_store(postgres_url)
    engine = engines.connect(engines.parse(postgres_url))
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("content", ["", "CREATE TABLE notes (text)"])
def test_somebody_elses_sqlite_file_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    path.touch()
    with sqlite3.connect(path) as connection:
        connection.executescript(content)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="holds no layer-search store"):
        setup.open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 40, encoding="utf-8")
    for create in (False, True):
        with pytest.raises(StoreUnavailableError, match=r"notes\.txt: file is not a database"):
            setup.open_store(f"sqlite:///{path}", create=create)
    assert path.read_text(encoding="utf-8").startswith("these are notes")


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not a database URL"),
        ("garbage", "not a database URL"),
        ("/var/data/store.db", "not a database URL"),
        ("postgresql://u@host:port/db", "not a database URL"),
        ("mysql://u@host/db", "'mysql' is not supported"),
        ("mysql+pymysql://u@host/db", "'mysql' is not supported"),
        ("oracle://u@host/db", "'oracle' is not supported"),
        ("sqlite://", "must be a file"),
        ("sqlite:///", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "must be a file"),
        ("sqlite:////no/such/folder/store.db", "/no/such/folder"),
        ("postgresql://u@host", "names no database"),
        ("postgresql://u@host/", "names no database"),
    ],
)
def test_bad_url_is_refused(url: str, reason: str, *, create: bool) -> None:
    with pytest.raises(InputError) as caught:
        setup.open_store(url, create=create)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@given(password=PASSWORDS)
@settings(deadline=None)
def test_display_hides_the_password(password: str) -> None:
    kept = URL.create("postgresql", "ann", password, "db.example", 5432, "search")
    asked = URL.create("postgresql", "ann", None, "db.example", 5432, "search")
    asked = asked.set(query={"password": password, "sslmode": "require"})
    for url in (kept, asked):
        parsed = engines.parse(url.render_as_string(hide_password=False))
        assert password in (parsed.password, parsed.query.get("password"))
        shown = engines.display(parsed)
        assert shown.startswith("postgresql://ann")
        assert "db.example:5432/search" in shown
        assert "0Qz" not in shown  # neither the password nor its quoted form
        assert "***" in shown


@given(password=PASSWORDS)
@settings(deadline=None)
def test_password_that_nobody_escaped_is_not_shown_either(password: str) -> None:
    for url in (f"mysql://ann:{password}@host/db", f"postgresql://ann:{password}@host/db"):
        try:
            shown = engines.display(engines.parse(url))
        except InputError as error:
            shown = str(error)
        assert "0Qz" not in shown


@given(password=PASSWORDS, in_query=st.booleans())
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_unreachable_server_is_named_without_the_password(
    password: str,
    in_query: bool,  # noqa: FBT001 - Hypothesis passes it
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = URL.create("postgresql", "ann", None, "127.0.0.1", port, "search")
    url = url.update_query_dict({"password": password}) if in_query else url.set(password=password)
    with pytest.raises(StoreUnavailableError) as caught:
        setup.open_store(url.render_as_string(hide_password=False))
    assert f"127.0.0.1:{port}/search" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0Qz" not in "".join(traceback.format_exception(caught.value))


def test_eight_processes_open_an_empty_database_at_once(store_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 8
    engine = setup.open_store(store_url)
    with engines.read(engine) as connection:
        for table in (VERSION_TABLE, "alembic_version"):
            count = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - two constants
            assert connection.execute(count).scalar() == 1
    assert differences(engine) == []
    engine.dispose()


def test_tables_are_those_of_the_models(engine: Engine) -> None:
    assert differences(engine) == []
    assert sorted(inspect(engine).get_view_names()) == sorted(VIEWS)


def test_database_refuses_what_the_models_refuse(engine: Engine) -> None:
    good = {
        "study_id": begin(engine).id, "depth": 4, "subset": "0_1", "seed": 0, "origin": "x",
        "state": "waiting", "token": 1, "crashes": 0, "told": False,
    }  # fmt: skip
    for wrong in ({"state": "lost"}, {"study_id": 99}, {"depth": 5}, {"subset": None}):
        with pytest.raises(IntegrityError), engines.write(engine) as connection:
            connection.execute(insert(Trial).values(good | wrong))
    with engines.write(engine) as connection:
        connection.execute(insert(Trial).values(good))
    with pytest.raises(IntegrityError), engines.write(engine) as connection:
        connection.execute(insert(Trial).values(good))


def test_migrating_down_and_up_again(engine: Engine, store_url: str) -> None:
    optunas = {name for name in inspect(engine).get_table_names() if "search_" not in name}
    config = alembic()
    with engines.write(engine) as connection:
        for view in reversed(VIEWS):  # setup makes the views anew after every migration
            connection.execute(text(f"DROP VIEW {view}"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == optunas | {VERSION_TABLE}
    with pytest.raises(InputError, match="holds no layer-search store"):
        setup.open_store(store_url)
    again = setup.open_store(store_url, create=True)
    assert differences(again) == []
    assert sorted(inspect(again).get_view_names()) == sorted(VIEWS)
    assert begin(again).budgets == {4: 2, 7: 3}
    again.dispose()


def test_store_of_a_newer_release_is_refused(engine: Engine, store_url: str, dump: Dump) -> None:
    begin(engine)
    with engines.write(engine) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608
    before = dump(engine)
    with pytest.raises(StorageError, match="made by another release"):
        setup.open_store(store_url)
    with pytest.raises(StorageError, match="made by a newer release: upgrade layer-search"):
        setup.open_store(store_url, create=True)
    assert dump(engine) == before


def test_version_is_the_newest_migration() -> None:
    heads = ScriptDirectory.from_config(alembic()).get_heads()
    assert heads == [SCHEMA_VERSION]


def test_optunas_tables_exist_beside_ours(engine: Engine, store_url: str) -> None:
    tables = set(inspect(engine).get_table_names())
    assert {"studies", "trials", "trial_params", "alembic_version"} <= tables
    assert set(Table.metadata.tables) <= tables
    assert all(name.startswith("search_") for name in Table.metadata.tables)
    storage = open_optuna(engines.parse(store_url))
    made = optuna.create_study(storage=storage, study_name="theirs", direction="maximize")
    made.tell(made.ask(), 0.5)
    assert [study.study_name for study in storage.get_all_studies()] == ["theirs"]
    assert studies.names(engine) == []
    storage.engine.dispose()


def test_optunas_own_check_accepts_its_tables(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
    assert storage.get_current_version() == storage.get_head_version()
    storage.engine.dispose()


def test_sqlite_settings_hold_on_every_connection(tmp_path: Path) -> None:
    engine = setup.open_store(f"sqlite:///{tmp_path}/store.db", create=True)
    expected = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 60000}
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            for pragma, value in expected.items():
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_postgresql_sessions_keep_utc_and_limits(postgres_url: str) -> None:
    engine = setup.open_store(postgres_url, create=True)
    expected = {
        "timezone": "UTC",
        "statement_timeout": "1min",
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
        "application_name": f"layer-search {os.getpid()} on {socket.gethostname()}",
    }
    with engine.connect() as connection:
        for name, value in expected.items():
            assert connection.exec_driver_sql(f"SHOW {name}").scalar() == value
    engine.dispose()


def test_rolled_back_as_a_whole(engine: Engine, dump: Dump) -> None:
    begin(engine)
    before = dump(engine)

    def half() -> None:
        with engines.write(engine) as connection:
            connection.execute(text("UPDATE search_depths SET budget = 99"))
            raise LookupError

    with pytest.raises(LookupError):
        half()
    assert dump(engine) == before
