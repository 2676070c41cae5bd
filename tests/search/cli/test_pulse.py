"""A line every 30 seconds: while a block runs, and never on a terminal."""

import threading

import pytest
from rich.console import Console

from search.cli import pulse
from search.cli.pulse import Pace, Pulse, StageClock, format_seconds

Capture = pytest.CaptureFixture[str]


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def beat(times: int, line: str = "now") -> list[float]:
    """Run a block that lasts for so many beats, and return the seconds between them."""
    waits: list[float] = []
    done = threading.Event()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) <= times:
            return False
        done.set()
        return True

    with Pulse(lambda: line, wait):
        assert done.wait(5)
    return waits


def test_a_line_every_thirty_seconds(capsys: Capture) -> None:
    assert beat(2) == [30.0, 30.0, 30.0]
    assert tuple(capsys.readouterr()) == ("", "now\nnow\n")  # on stderr


def test_nothing_is_said_of_nothing(capsys: Capture) -> None:
    beat(2, "")
    assert capsys.readouterr().err == ""


def test_no_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "errors", Console(force_terminal=True))
    with Pulse(lambda: pytest.fail("asked"), lambda _: pytest.fail("waited")) as shown:
        assert not shown._thread.is_alive()


def test_a_short_block_prints_nothing_and_ends_at_once(capsys: Capture) -> None:
    with Pulse(lambda: "never") as shown:
        assert shown._thread.is_alive()
    assert not shown._thread.is_alive()
    assert capsys.readouterr().err == ""


def test_time_left_follows_the_pace_since_the_first_look() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 1000.0
    assert pace.left(50, 100) == ""
    clock.now = 1010.0
    assert pace.left(50, 100) == ""  # nothing has gone on yet
    assert pace.left(60, 100) == ", about 40 s left"
    assert pace.left(100, 100) == ""


def test_a_long_trial_does_not_put_the_end_off() -> None:
    """What is under way was counted among those left; it cannot make the others longer."""
    clock = Clock()
    pace = Pace(clock)
    clock.now = 0.0
    assert pace.left(0, 5) == ""
    clock.now = 10.0
    assert pace.left(1, 5) == ", about 40 s left"
    clock.now = 14.0
    assert pace.left(1, 5) == ", about 36 s left"
    clock.now = 60.0
    assert pace.left(1, 5) == ", about 30 s left"


def test_stages_are_timed_one_by_one() -> None:
    clock = Clock()
    stage = StageClock(clock)
    assert stage.describe() == ""
    stage.note("training", 0, 10)
    clock.now = 20.0
    stage.note("training", 5, 10)
    assert stage.describe() == "training 5 of 10 (50 %), about 20 s left"
    stage.note("evaluating", 0, 3)
    assert stage.describe() == "evaluating 0 of 3 (0 %)"
    stage.note("evaluating", 2, 3)
    stage.note("evaluating", 0, 3)  # of the next trial
    clock.now = 25.0
    assert stage.describe() == "evaluating 0 of 3 (0 %)"
    stage.note("cutting", 0, 0)
    clock.now = 30.0
    assert stage.describe() == "cutting, 5 s so far"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_times_are_said_in_the_unit_that_people_take(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown
