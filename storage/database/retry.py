"""Outages: waits for a database that is away, and says in one line that it did not come back."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import tenacity
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.database.url import display_url
from storage.errors import StoreUnavailableError, first_line

PATIENCE_SECONDS = 600
"""Seconds a worker waits for the database: longer than a restart or a failover takes."""

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

log = logging.getLogger("layer-search")


def is_outage(error: BaseException) -> bool:
    """Whether `error` may go away by itself: a lost connection, a locked file, a full pool."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return True
    return error.__cause__ is not None and is_outage(error.__cause__)


def patient(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Repeat `function` over outages of up to ten minutes; it must be safe to repeat."""
    retrying = tenacity.retry(
        retry=tenacity.retry_if_exception(is_outage),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        before_sleep=lambda state: log.warning(
            "the store does not answer, trying again (attempt %d)", state.attempt_number
        ),
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
        reason = first_line(error.orig or error)
        if url.password:
            reason = reason.replace(str(url.password), "***")
        message = f"cannot use the store {display_url(url)}: {reason}"
        raise StoreUnavailableError(message) from error
