"""`init --reader`: a PostgreSQL role that reads everything and changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine

from storage.database.roles import create_reader
from storage.queue import Result, TaskResult
from storage.setup import open_store
from tests.support.commands import read_error, run_command
from tests.support.databases import run_sql
from tests.support.roles import READER, as_reader, drop_readers, fits, stored_password
from tests.support.stores import begin, finish_trial, new_trial

if TYPE_CHECKING:
    import subprocess


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A PostgreSQL store with one result; the roles of the test go with it."""
    engine = open_store(postgres_url)
    result = Result(0.5, {"nq": TaskResult(0.5, {"q": 0.5})})
    finish_trial(engine, begin(engine, {2: 3}), new_trial((0, 1)), result)

    yield engine
    engine.dispose()
    drop_readers(postgres_url)


def make_reader(name: str, url: str, password: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with a password in its environment."""
    words = ("init", "--reader", name, "--store", url)
    return run_command(*words, LAYER_SEARCH_READER_PASSWORD=password)


def test_role_reads_everything_that_the_owner_does(engine: Engine, postgres_url: str) -> None:
    made = make_reader(READER, postgres_url, "kite-0Qz")
    assert made.returncode == 0
    (remark,) = made.stderr.splitlines()
    assert remark.startswith(f"role {READER} may connect to the databases postgres, ready, ")
    assert remark.endswith("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC ends it")
    assert f"role {READER} may read\n" in made.stdout
    assert "0Qz" not in made.stdout
    assert fits(stored_password(postgres_url), "kite-0Qz")
    assert engine.dialect.name == "postgresql"

    urls = (as_reader(postgres_url), postgres_url)
    for words in (["leaderboard"], ["studies"], ["trials", "s"], ["trials", "s", "--attempts"]):
        theirs, own = (run_command(*words, "--json", "--store", url) for url in urls)
        assert (theirs.returncode, theirs.stderr) == (0, "")
        assert json.loads(theirs.stdout) == json.loads(own.stdout)
        assert len(json.loads(own.stdout)) == 1


def test_password_is_changed_and_kept_without_one(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER, "first")

    again = make_reader(READER, postgres_url, "sécönd '$\\\"")
    assert again.returncode == 0
    second = stored_password(postgres_url)
    assert fits(second, "sécönd '$\\\"")
    assert not fits(second, "first")

    kept = make_reader(READER, postgres_url, "")
    assert kept.returncode == 0
    assert "it has no new password: set LAYER_SEARCH_READER_PASSWORD" in kept.stdout
    assert stored_password(postgres_url) == second


def test_both_roles_are_made_on_a_server_without_other_use(
    engine: Engine, postgres_url: str, postgres_server: str
) -> None:
    assert engine.dialect.name == "postgresql"
    worker, work, kite = f"{READER}_worker", "work-0Qz", "kite-0Qz"
    words = ("init", "--worker", worker, "--reader", READER, "--dedicated")
    try:
        done = run_command(
            *words,
            "--store",
            postgres_url,
            LAYER_SEARCH_WORKER_PASSWORD=work,
            LAYER_SEARCH_READER_PASSWORD=kite,
        )
    finally:
        for name in ("postgres", "ready", "template1"):
            run_sql(postgres_server, f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"role {worker} may work\nrole {READER} may read\n")
    assert fits(stored_password(postgres_url, worker), work)
    assert fits(stored_password(postgres_url), kite)


def test_closing_databases_needs_a_role(postgres_url: str) -> None:
    done = run_command("init", "--dedicated", "--store", postgres_url)
    assert done.returncode == 2
    assert read_error(done) == (
        "error: --dedicated is for the roles: name one with --reader or --worker"
    )


def test_command_refuses_in_one_line(engine: Engine, postgres_url: str, tmp_path: Path) -> None:
    owner = engine.url.username
    assert owner is not None
    wrong = [
        ("pg_x", postgres_url, "'pg_x' cannot be a role"),
        (owner, postgres_url, f"'{owner}' owns the store: name another role"),
        (READER, f"sqlite:///{tmp_path}/store.db", "an SQLite store has no roles"),
    ]

    for name, url, reason in wrong:
        done = make_reader(name, url, "kite-0Qz")
        assert done.returncode == 2
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "0Qz" not in done.stdout + done.stderr
    assert stored_password(postgres_url) is None


def test_owner_that_may_create_no_roles_is_told(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    run_sql(postgres_url, f'ALTER ROLE "{READER}" RESET default_transaction_read_only')
    done = run_command("init", "--reader", f"{READER}_2", "--store", as_reader(postgres_url))
    assert done.returncode == 1
    assert "connect as a superuser, or as the owner" in done.stderr
    assert len(done.stderr.splitlines()) == 1
