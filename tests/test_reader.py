"""The role that may read everything and change nothing, on a real PostgreSQL server."""

import hashlib
import hmac
import json
import re
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url

from storage import claims, results, setup, studies
from storage.errors import InputError
from storage.reader import create_reader
from storage.results import Result, TaskResult

Cli = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "LAYER_SEARCH_READER_PASSWORD"  # noqa: S105 - the name of a variable
NAME = "looker_of_these_tests"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A PostgreSQL store with one result; the role goes with it."""
    engine = setup.open_store(postgres_url, create=True)
    study = studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={2: 3},
    )  # fmt: skip
    held = claims.claim(engine, study.id, 2, subset="0_1", seed=0, origin="swap", owner="w")
    results.finish(engine, held, Result(0.5, {"nq": TaskResult(0.5, {"q": 0.5})}))
    yield engine
    engine.dispose()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'looker_of%'"
        ).fetchall():
            connection.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def as_reader(url: str, name: str = NAME) -> str:
    """The store's URL for the role; the server of these tests asks nobody for a password."""
    return make_url(url).set(username=name).render_as_string(hide_password=False)


def stored(url: str, name: str = NAME) -> str | None:
    """What the server keeps of the role's password."""
    with psycopg.connect(url) as connection:
        query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
        (kept,) = connection.execute(query, [name]).fetchone() or (None,)
    return None if kept is None else str(kept)


def fits(kept: str | None, password: str) -> bool:
    """Whether `password` is the one behind what the server keeps, as RFC 5802 checks it."""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):(.+)\$(.+):(.+)", kept or "")
    assert found is not None
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(found[2]), int(found[1]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(key).digest() == b64decode(found[3])


def test_role_reads_what_the_owner_does(engine: Engine, postgres_url: str, cli: Cli) -> None:
    made = cli("init", "--reader", NAME, "--store", postgres_url, **{PASSWORD: "kite-0Qz"})
    assert (made.returncode, made.stderr) == (0, "")
    assert f"role {NAME} may read\n" in made.stdout
    assert "0Qz" not in made.stdout
    assert fits(stored(postgres_url), "kite-0Qz")
    assert engine.dialect.name == "postgresql"
    for words in (["leaderboard"], ["studies"], ["trials", "s"], ["trials", "s", "--attempts"]):
        theirs, own = (
            cli(*words, "--json", "--store", url) for url in (as_reader(postgres_url), postgres_url)
        )
        assert (theirs.returncode, theirs.stderr) == (0, "")
        assert json.loads(theirs.stdout) == json.loads(own.stdout)
        assert len(json.loads(own.stdout)) == 1


CHANGES = (
    "INSERT INTO search_studies (uid, name) VALUES ('u', 'mine')",
    "UPDATE search_trials SET mean = 1",
    "UPDATE leaderboard SET mean = 1",
    "DELETE FROM search_studies",
    "DELETE FROM studies",
    "TRUNCATE search_trials CASCADE",
    "CREATE TABLE mine (x integer)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "DROP VIEW leaderboard",
    "ALTER TABLE search_trials ADD COLUMN x integer",
    "GRANT SELECT ON search_trials TO PUBLIC",
    "SELECT nextval('search_trials_id_seq')",
    "SELECT * FROM search_trials FOR UPDATE",
    "SELECT rolpassword FROM pg_authid",
    "COPY search_trials TO PROGRAM 'cat'",
)


def test_role_changes_nothing_even_if_it_asks_to(
    engine: Engine, postgres_url: str, dump: Callable[[Engine], object]
) -> None:
    create_reader(engine, NAME, "kite")
    before = dump(engine)
    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TEMPORARY TABLE mine (x integer)")
        connection.execute("SET default_transaction_read_only = off")
        for change in CHANGES:
            refused = False
            try:
                connection.execute(change.encode())
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.ObjectNotInPrerequisiteState,
            ):
                refused = True
            assert refused or "GRANT" in change, change  # that warns only
    assert dump(engine) == before
    with psycopg.connect(postgres_url) as connection:
        rights = "SELECT has_table_privilege('public', 'search_trials', 'SELECT')"
        assert connection.execute(rights.encode()).fetchone() == (False,)


def test_password_is_changed_and_kept_without_one(
    engine: Engine, postgres_url: str, cli: Cli
) -> None:
    create_reader(engine, NAME)
    assert stored(postgres_url) is None
    create_reader(engine, NAME, "first")
    first = stored(postgres_url)
    assert fits(first, "first")
    again = cli("init", "--reader", NAME, "--store", postgres_url, **{PASSWORD: "sécönd '$\\\""})
    assert (again.returncode, again.stderr) == (0, "")
    second = stored(postgres_url)
    assert fits(second, "sécönd '$\\\"")
    assert not fits(second, "first")
    kept = cli("init", "--reader", NAME, "--store", postgres_url, **{PASSWORD: ""})
    assert (kept.returncode, kept.stderr) == (0, "")
    assert f"it has no new password: set {PASSWORD}" in kept.stdout
    assert stored(postgres_url) == second


def test_server_is_never_sent_the_password(engine: Engine, tmp_path: Path) -> None:
    engine.dispose()
    with (tmp_path / "trace").open("w+b", buffering=0) as trace:

        @event.listens_for(engine, "connect")
        def _(connection: psycopg.Connection, _entry: object) -> None:
            connection.pgconn.trace(trace.fileno())

        create_reader(engine, NAME, "kite-0Qz")
        engine.dispose()
        sent = (tmp_path / "trace").read_bytes()
    assert b"PASSWORD 'SCRAM-SHA-256$" in sent
    assert b"0Qz" not in sent


def test_role_that_was_given_more_is_brought_back(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, NAME)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'ALTER ROLE "{NAME}" SUPERUSER CREATEDB CREATEROLE')
        connection.execute(f'ALTER ROLE "{NAME}" RESET default_transaction_read_only')
        connection.execute(f'GRANT INSERT, UPDATE, DELETE ON search_studies TO "{NAME}"')
    create_reader(engine, NAME)
    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = %s"
        assert connection.execute(rights, [NAME]).fetchone() == (False, False, False)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM search_studies")


def test_views_and_tables_that_come_later_are_readable(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, NAME)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP VIEW query_scores")
        connection.execute("CREATE VIEW query_scores AS SELECT 7 AS score")
        connection.execute("CREATE TABLE later AS SELECT 8 AS number")
    with psycopg.connect(as_reader(postgres_url)) as connection:
        assert connection.execute("SELECT score FROM query_scores").fetchall() == [(7,)]
        assert connection.execute("SELECT number FROM later").fetchall() == [(8,)]


BAD = ["", "1look", "a b", 'a"b', "a;b", "pg_looker", "lööker", "x" * 64]


@pytest.mark.parametrize("name", BAD)
def test_name_that_cannot_be_a_role_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a role") as caught:
        create_reader(engine, name, "kite")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["looker_of-Tests", "looker_of_" + "x" * 53])
def test_odd_names_are_roles_too(engine: Engine, postgres_url: str, name: str) -> None:
    create_reader(engine, name, "kite")
    assert fits(stored(postgres_url, name), "kite")
    with psycopg.connect(as_reader(postgres_url, name)) as connection:
        assert connection.execute("SELECT count(*) FROM leaderboard").fetchone() == (1,)


def test_command_refuses_in_one_line(
    engine: Engine, postgres_url: str, tmp_path: Path, cli: Cli
) -> None:
    owner = engine.url.username
    wrong = [
        ("pg_x", postgres_url, "'pg_x' cannot be a role"),
        (owner, postgres_url, f"'{owner}' owns the store: name another role"),
        (NAME, f"sqlite:///{tmp_path}/store.db", "an SQLite store has no roles"),
    ]
    for name, url, reason in wrong:
        done = cli("init", "--reader", name, "--store", url, **{PASSWORD: "kite-0Qz"})
        assert done.returncode == 2
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "0Qz" not in done.stdout + done.stderr
    assert stored(postgres_url) is None


def test_owner_that_may_create_no_roles_is_told(
    engine: Engine, postgres_url: str, cli: Cli
) -> None:
    create_reader(engine, NAME)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'ALTER ROLE "{NAME}" RESET default_transaction_read_only')
    done = cli("init", "--reader", f"{NAME}_2", "--store", as_reader(postgres_url))
    assert done.returncode == 1
    assert "connect as a user that may create roles" in done.stderr
    assert len(done.stderr.splitlines()) == 1
