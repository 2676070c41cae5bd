"""A line at regular times on the course of a command, where no bar can be shown."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from search.cli.output import errors, remark

EVERY_SECONDS = 30.0
"""Seconds between two lines: soon enough to see that nothing hangs, and 120 lines an hour."""

Clock = Callable[[], float]
"""Returns seconds that only grow."""


class Pulse:
    """Prints a line on stderr every 30 seconds while a block runs; none on a terminal.

    Args:
        describe: returns the line; it is called in a thread of its own.
        wait: waits for so many seconds, and returns whether the block has ended; a clock of tests.
    """

    def __init__(
        self, describe: Callable[[], str], wait: Callable[[float], bool] | None = None
    ) -> None:
        self._describe = describe
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        """Begin to print, unless a terminal shows bars."""
        if not errors.is_terminal:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)  # it may be looking at a database that is away

    def _beat(self) -> None:
        """Print a line at regular times."""
        while not self._wait(EVERY_SECONDS):
            if line := self._describe():
                remark(line)


class Pace:
    """The speed of something countable, and the time left by it.

    Args:
        clock: the clock.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._first: int | None = None
        self._done, self._gained_at = 0, self._began

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began

    def left(self, done: int, total: int) -> str:
        """Return words on the time left; nothing while there is no pace.

        Args:
            done: how much is done; what was done at the first call is no part of the pace.
            total: how much there is in all.
        """
        now = self._clock()
        if self._first is None:
            self._began, self._first = now, done
        if done > self._done:
            self._done, self._gained_at = done, now

        gained = done - self._first
        if gained <= 0 or done >= total:
            return ""

        # what runs now counts as at most one of those left, however long it takes
        each = (self._gained_at - self._began) / gained
        left = (total - done) * each - min(now - self._gained_at, each)
        return f", about {format_seconds(left)} left"


class StageClock:
    """The stage that a command is in, how much of it is done, and the time left.

    Args:
        clock: the clock.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._name = ""
        self._done = self._total = 0
        self._pace = Pace(clock)

    def note(self, name: str, done: int, total: int) -> None:
        """Note that `done` of `total` steps of a stage are done; a new name begins a new stage."""
        if name != self._name or done < self._done:
            self._name, self._pace = name, Pace(self._clock)
            self._pace.left(done, total)
        self._done, self._total = done, total

    def describe(self) -> str:
        """Return the stage in words; nothing before the first one."""
        if not self._name:
            return ""
        if self._total < 1:
            return f"{self._name}, {format_seconds(self._pace.seconds)} so far"
        share = f"{self._done} of {self._total} ({self._done / self._total:.0%})"
        return f"{self._name} {share.replace('%', ' %')}{self._pace.left(self._done, self._total)}"


def format_seconds(seconds: float) -> str:
    """Return a time in the unit that people would take: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:  # noqa: PLR2004 - two digits
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
