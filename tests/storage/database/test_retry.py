"""Outages: which errors are waited out and for how long, and what is said at the end."""

import ast
import logging
import socket
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.database import available, parse_url, patient, retry
from storage.errors import StoreUnavailableError
from storage.setup import open_store
from tests.support.passwords import PASSWORDS

AWAY = OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))
WRONG = IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed"))
CUT = DBAPIError("SELECT 1", {}, Exception("cut"), connection_invalidated=True)


def coded(state: str) -> DBAPIError:
    """Return an error of PostgreSQL with an SQLSTATE, wrapped as SQLAlchemy wraps it."""
    original = psycopg.errors.lookup(state)("said the server")
    wrapped = DBAPIError.instance("SELECT 1", {}, original, psycopg.Error)
    assert isinstance(wrapped, DBAPIError)
    return wrapped


def named(code: str) -> DBAPIError:
    """Return an error of SQLite with a code."""
    original = sqlite3.OperationalError("said the library")
    original.sqlite_errorname = code
    return OperationalError("SELECT 1", {}, original)


def unconnected(words: str) -> DBAPIError:
    """Return the error of a connection that could not be made, which has no code."""
    return OperationalError("SELECT 1", {}, psycopg.OperationalError(f"connection failed: {words}"))


def caused_by(cause: BaseException) -> BaseException:
    """Return an error that another one caused, as Optuna wraps the errors of its database."""
    error = RuntimeError("storage")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (AWAY, True),
        (InterfaceError("SELECT 1", {}, Exception()), True),
        (PoolTimeoutError("the pool is full"), True),
        (CUT, True),
        (caused_by(caused_by(AWAY)), True),
        (WRONG, False),
        (caused_by(WRONG), False),
        (ValueError("no"), False),
        # a lost connection, a deadlock, too many connections, a shutdown, a broken disk
        *[(coded(state), True) for state in ("08006", "40P01", "53300", "57P01", "58030")],
        # a server that takes no writes, a transaction that waited for too long, a lock
        *[(coded(state), True) for state in ("25006", "25P03", "55P03")],
        # a key too long for an index, a wrong type, a wrong column, no right
        *[(coded(state), False) for state in ("54000", "22P02", "42703", "42501")],
        *[(named(code), True) for code in ("SQLITE_BUSY_SNAPSHOT", "SQLITE_FULL")],
        *[(named(code), False) for code in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_ERROR")],
        (unconnected("FATAL:  sorry, too many clients already"), True),
        (unconnected("FATAL:  the database system is starting up"), True),
        (unconnected("connection refused"), True),
        (unconnected('FATAL:  password authentication failed for user "ann"'), False),
        (unconnected('FATAL:  database "search" does not exist'), False),
        (unconnected("FATAL: no such database: search"), False),
        (unconnected("server does not support SSL, but SSL was required"), False),
    ],
)
def test_outage_is_an_error_that_may_go_away_by_itself(
    error: BaseException, *, outage: bool
) -> None:
    assert retry.is_outage(error) is outage


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (WRONG, True),
        (coded("54000"), True),
        (coded("22003"), True),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates"), True),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), True),
        (AWAY, False),
        (coded("42703"), False),
        (ValueError("no"), False),
    ],
)
def test_refusal_is_an_error_of_the_data(error: BaseException, *, refusal: bool) -> None:
    assert retry.is_refusal(error) is refusal


def failing(calls: list[int], *errors: Exception) -> Callable[[int], int]:
    """Return a function that doubles a number, and fails with each of `errors` before that."""
    left = list(errors)

    def double(number: int) -> int:
        calls.append(number)
        if left:
            raise left.pop(0)
        return 2 * number

    return double


def test_outage_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    with caplog.at_level(logging.WARNING, "layer-search"):
        assert patient(failing(calls, AWAY, CUT))(21) == 42
    assert calls == [21, 21, 21]
    assert caplog.messages == [
        f"the store does not answer, trying again (attempt {number})" for number in (1, 2)
    ]


def test_outage_that_lasts_is_told_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert retry.PATIENCE_SECONDS == 600
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.3)
    calls: list[int] = []
    with pytest.raises(OperationalError) as caught:
        patient(failing(calls, *[AWAY] * 99))(1)
    assert caught.value is AWAY
    assert 1 < len(calls) < 99


def test_any_other_error_is_not_repeated() -> None:
    calls: list[int] = []
    with pytest.raises(IntegrityError):
        patient(failing(calls, WRONG))(1)
    assert calls == [1]


IMPATIENT = {
    "delete_study",
    "enqueue",  # its callers are patient, or people
    "release_host",
    "release_dead",  # the queue is patient for it
    "refresh",
    "renew",  # its thread repeats it
    "give_back",  # must not hold up a worker that ends
    "give_back_all",
    "depth_statuses",  # bars show the last counts instead
    "_require_writer",  # within a patient one
    "_exclusive",
}
"""Functions with a transaction that do not wait out an outage, with the reason."""


def test_every_other_function_with_a_transaction_waits_out_an_outage() -> None:
    impatient = set()
    for path in (Path(retry.__file__).parents[1]).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and _opens_transaction(function):
                marks = {ast.unparse(mark) for mark in function.decorator_list}
                if not marks & {"patient"}:
                    impatient.add(function.name)
    assert impatient == IMPATIENT


def _opens_transaction(function: ast.FunctionDef) -> bool:
    """Whether a function opens a transaction of its own."""
    calls = {
        ast.unparse(item.context_expr).partition("(")[0]
        for block in ast.walk(function)
        if isinstance(block, ast.With)
        for item in block.items
    }
    return bool(calls & {"read", "write", "write_and_hang_up"})


# one line for people


@given(password=PASSWORDS, in_query=st.booleans())
@settings(deadline=None, max_examples=15)
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
        open_store(url.render_as_string(hide_password=False))
    assert f"127.0.0.1:{port}/search" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0Qz" not in "".join(traceback.format_exception(caught.value))


def test_password_in_a_message_of_the_driver_is_hidden() -> None:
    url = parse_url("postgresql://ann:0Qz@host/search")
    said = OperationalError("SELECT 1", {}, Exception("no entry for ann with 0Qz\nhint: ask"))
    with pytest.raises(StoreUnavailableError) as caught, available(url):
        raise said
    assert str(caught.value) == (
        "cannot use the store postgresql://ann:***@host/search: no entry for ann with ***"
    )


def test_errors_of_this_project_pass(tmp_path: Path) -> None:
    url = parse_url(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(LookupError), available(url):
        raise LookupError
