"""Errors of the database: outages, which are waited out, and data that it will never take."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import tenacity
from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.database.pool import close_idle_connections
from storage.database.url import display_url
from storage.errors import StoreUnavailableError, first_line

PATIENCE_SECONDS = 600
"""Seconds a worker waits for the database: longer than a restart or a failover takes."""

READ_ONLY = "25006"
"""SQLSTATE of a server that takes no writes: one that a failover has turned into a replica."""

_PASSING_CLASSES = ("08", "40", "53", "57", "58")
"""SQLSTATE classes that may go away by themselves: lost connections, deadlocks, too little memory,
disk or connections, a server that shuts down or starts up, errors of its disk.
"""

_PASSING_STATES = (READ_ONLY, "25P03", "25P04", "55006", "55P03")
"""Single ones: transactions that waited for too long, locks that were held for too long."""

_PASSING_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PROTOCOL")
"""Codes of SQLite, with all that begin so: locks, a full disk, a disk that does not answer."""

_LIMIT_CLASS = "54"
"""SQLSTATE class of data beyond a limit of the server, such as a key too long for an index."""

_REFUSALS = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|not permitted to log in"
    r"|(role|database|user) .* does not exist|no such (database|user)|permission denied"
    r"|SSL was required|certificate"
)
"""Words of a server that refuses a connection and will again. It sends no SQLSTATE to tell them by;
a server that says it in another language is waited for.
"""

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

log = logging.getLogger("layer-search")


def is_outage(error: BaseException) -> bool:
    """Whether `error` may go away by itself: a lost connection, a locked file, a full pool."""
    if isinstance(error, PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _may_pass(error)
    return error.__cause__ is not None and is_outage(error.__cause__)


def _may_pass(error: DBAPIError) -> bool:
    """Whether an error of the driver may go away by itself, by its code if it has one."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_PASSING_CLASSES) or state in _PASSING_STATES

    code = getattr(error.orig, "sqlite_errorname", None)
    if isinstance(code, str):
        return code.startswith(_PASSING_SQLITE)

    # no code: there is no connection, or no longer
    is_connection = isinstance(error, (OperationalError, InterfaceError))
    return is_connection and not _REFUSALS.search(str(error.orig))


def is_refusal(error: BaseException) -> bool:
    """Whether the database will never take the data it was given, however often it is asked."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return isinstance(error, (DataError, IntegrityError)) or state.startswith(_LIMIT_CLASS)
    return isinstance(error, (UnicodeError, OverflowError))  # before it was asked at all


def _before_wait(state: tenacity.RetryCallState) -> None:
    """Say that the database is waited for, and hold no connection meanwhile."""
    log.warning("the store does not answer, trying again (attempt %d)", state.attempt_number)
    close_idle_connections()


def patient(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Repeat `function` over outages of up to ten minutes; it must be safe to repeat."""
    retrying = tenacity.retry(
        retry=tenacity.retry_if_exception(is_outage),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        before_sleep=_before_wait,
        reraise=True,
    )
    return retrying(function)


@contextmanager
def available(url: URL) -> Iterator[None]:
    """Turn the errors of the driver into one line that names the store, never its password.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailableError(explain(url, error)) from error


def explain(url: URL, error: DBAPIError) -> str:
    """Return an error of the driver as one line that names the store, never its password."""
    reason = reason_of(error)
    if url.password:
        reason = reason.replace(str(url.password), "***")
    return f"cannot use the store {display_url(url)}: {reason}"


def reason_of(error: BaseException) -> str:
    """Return the first line of an error: the driver's own words, where it comes from a driver."""
    return first_line(getattr(error, "orig", None) or error)
