"""Ctrl-C and SIGTERM, held back while something is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Signals:
    """Ctrl-C and SIGTERM of this process, let through only where nothing is half done.

    Raised just anywhere, KeyboardInterrupt can be swallowed by a destructor, or leave a transaction
    open whose lock the worker then waits for itself.
    """

    def __init__(self) -> None:
        self._held = False
        self._open = False
        self._caught = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Remember a signal until the block is done; a second one is raised at once."""
        if self._held or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._held = True
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            caught, self._held, self._caught = self._caught, False, False
        if caught:
            raise KeyboardInterrupt

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Raise the signal that is remembered, and those that come during the block, at once."""
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open = False

    def check(self) -> None:
        """Raise the signal that is remembered."""
        if self._caught:
            raise KeyboardInterrupt

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        again, self._caught = self._caught, True
        if self._open or again:
            self._open = False
            raise KeyboardInterrupt


signals = Signals()
"""Those of this process."""
