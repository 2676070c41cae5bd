"""Ctrl-C and SIGTERM, held back while something is half done.

Raised just anywhere, KeyboardInterrupt can be swallowed by a destructor, or leave a transaction
open whose lock the worker then waits for itself.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """The one place where this process receives Ctrl-C and SIGTERM.

    Without a block, a signal raises KeyboardInterrupt at once (SIGTERM after `listen`). Inside
    `held` it is remembered, and raised at the end or in a block of `let_through`. Inside
    `passed_on` it goes to other processes first.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._is_let_through = False
        self._caught = False

    def listen(self) -> None:
        """Let SIGTERM raise KeyboardInterrupt from now on, as Ctrl-C does."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Remember a signal until the block is done; a second one is raised at once.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        if self._is_held or threading.current_thread() is not threading.main_thread():
            yield
            return

        self._is_held = True
        try:
            with _handled_by(self._remember):
                yield
        finally:
            caught, self._is_held, self._caught = self._caught, False, False
        if caught:
            raise KeyboardInterrupt

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Raise a remembered signal, and every one that comes during the block, at once.

        Raises:
            KeyboardInterrupt: a signal was remembered, or came.
        """
        self._is_let_through = True
        try:
            self.check()
            yield
        finally:
            self._is_let_through = False

    def check(self) -> None:
        """Raise a remembered signal.

        Raises:
            KeyboardInterrupt: there is one.
        """
        if self._caught:
            raise KeyboardInterrupt

    @contextmanager
    def passed_on(self, pass_on: Callable[[], None]) -> Iterator[None]:
        """Call `pass_on` at every signal, and raise KeyboardInterrupt when the block is done.

        Args:
            pass_on: hands the signal to other processes.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        caught = False

        def receive(_number: int, _frame: FrameType | None) -> None:
            nonlocal caught
            caught = True
            pass_on()

        with _handled_by(receive):
            yield
        if caught:
            raise KeyboardInterrupt

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        """Remember the first signal, and raise it if it is let through or the second one."""
        again, self._caught = self._caught, True
        if self._is_let_through or again:
            self._is_let_through = False
            raise KeyboardInterrupt


@contextmanager
def _handled_by(receive: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hand both signals to `receive` during the block."""
    previous = {number: signal.signal(number, receive) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


signals = Signals()
"""The signals of this process."""
