"""The lease of a claim: how long it lasts, and the thread that renews it while a trial runs."""

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from storage.errors import InputError

LEASE_SECONDS = 120.0
"""Seconds a claim lasts: long enough for two failed renewals, short enough to wait for."""

_LONGEST = 86_400.0  # a day: a trial of a dead worker would wait longer than anybody looks

log = logging.getLogger("layer-search")


def lease_seconds() -> float:
    """Return the seconds a claim lasts without being renewed: LAYER_SEARCH_LEASE, or two minutes.

    Raises:
        InputError: the variable is not a number of seconds of at least one.
    """
    text = os.environ.get("LAYER_SEARCH_LEASE", str(LEASE_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0

    if not 1 <= seconds <= _LONGEST:
        message = f"LAYER_SEARCH_LEASE is {text!r}: give seconds, from 1 to 86400"
        raise InputError(message)
    return seconds


class Lease:
    """Renews a claim in the background until left; a renewal that fails is tried again.

    Args:
        renew: renews the claim once; false when the claim belongs to another worker now.
        seconds: how long each renewal lasts; it is renewed three times as often.
        name: the trial, for messages.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float, name: str) -> None:
        self._renew = renew
        self._seconds = seconds
        self._name = name
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop renewing; a renewal under way may end by itself."""
        self._done.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        """Renew until left, or until another worker has the trial."""
        while not self._done.wait(self._seconds / 3):
            try:
                if not self._renew():
                    log.warning("trial %s was taken over by another worker", self._name)
                    return
            except SQLAlchemyError as error:
                log.warning(
                    "cannot renew the lease of %s yet: %s", self._name, type(error).__name__
                )
