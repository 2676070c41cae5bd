"""The progress of a command: a line per trial, bars only on a terminal."""

import io
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError

from search.cli import output, progress, pulse
from search.cli.progress import (
    StageProgress,
    WorkerProgress,
    interruptible,
    load_evaluator,
)
from storage.leaderboard import DepthStatus
from storage.queue import Claim, Result
from storage.states import Origin
from tests.support.study_files import short

Capture = pytest.CaptureFixture[str]
CLAIM = Claim(1, 1, (0, 1, 2, 3), seed=0, token=1)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The text that is written to a terminal of 160 columns, in place of stderr."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=160, color_system=None)
    for module in (output, progress, pulse):
        monkeypatch.setattr(module, "errors", console)
    yield text
    assert "\x1b[?25h" in text.getvalue()  # the cursor is shown again


def lines_of(terminal: io.StringIO) -> list[str]:
    """Return the lines that were drawn on a terminal, without its control codes."""
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", terminal.getvalue())
    return [line for line in plain.splitlines() if line.strip()]


def test_brackets_in_the_words_of_a_worker_are_shown_as_they_are(capsys: Capture) -> None:
    reason, note = "no kernel for [bfloat16] in block [/attn]", "[dim] lost its [/norm]"
    with WorkerProgress({}, {4: 2}) as report:
        report.started(CLAIM)
        report.finished(CLAIM, Result(None, error=reason))
        report.finished(CLAIM, Result(0.5, notes=(note,)))
    shown = capsys.readouterr().err
    assert reason in shown
    assert note in shown


def test_a_line_for_each_trial(capsys: Capture) -> None:
    seconds = {"cut": 0.25, "evaluate": 1.5}
    with WorkerProgress({}, {4: 4}) as report:
        report.started(CLAIM)
        report.stage("evaluate", 0, 1)
        report.finished(CLAIM, Result(0.5, seconds=seconds))
        report.finished(CLAIM, Result(0.5, seconds=seconds, notes=("a", "b")))
        report.finished(CLAIM, Result(None, error="it broke"))
        report.finished(CLAIM, Result(None, error="it broke", set_aside=True))
        report.waiting(1)

    assert capsys.readouterr().err.splitlines() == [
        "0_1_2_3  0.5000  1.8 s",
        "0_1_2_3  0.5000  1.8 s  (a)  (b)",
        "0_1_2_3  failed: it broke",
        "0_1_2_3  failed: set aside: it broke",
    ]


def test_failures_are_left_out_where_the_command_tells_them(capsys: Capture) -> None:
    with WorkerProgress({}, {}, failures=False) as report:
        report.started(CLAIM)
        report.finished(CLAIM, Result(None, error="it broke"))
        report.finished(CLAIM, Result(0.5))
    assert capsys.readouterr().err == "0_1_2_3  0.5000  0.0 s\n"


def test_bars_of_depths_count_the_trials_of_their_budget(terminal: io.StringIO) -> None:
    manual = Claim(2, 1, (0, 1, 2, 4), seed=0, token=1, origin=Origin.MANUAL)
    other = Claim(3, 1, (0, 1), seed=0, token=1)
    with WorkerProgress({4: 1}, {4: 3, 7: 9}) as report:
        for claim in (CLAIM, manual, other):
            report.started(claim)
            report.finished(claim, Result(0.5))

    four, seven = lines_of(terminal)[-2:]
    assert "depth 4" in four
    assert " 2/3 " in four
    assert "depth 7" in seven
    assert " 0/9 " in seven


def test_bar_of_the_trial_names_its_stage(terminal: io.StringIO) -> None:
    with WorkerProgress({}, {4: 3}) as report:
        report.started(CLAIM)
        for stage in ("cut", "train", "evaluate", "polish"):
            report.stage(stage, 1, 2)
            report._bars.refresh()
        report.waiting(1)
        report._bars.refresh()
        report.waiting(3)
        report._bars.refresh()

    shown = terminal.getvalue()
    for words in ("cutting", "training", "evaluating", "polish"):
        assert f"0_1_2_3 {words}" in shown
    assert "waiting for 1 trial elsewhere" in shown
    assert "waiting for 3 trials elsewhere" in shown


def test_screen_has_a_bar_for_each_stage(terminal: io.StringIO) -> None:
    with StageProgress("screen of s") as bar:
        for name in ("train", "screen"):
            bar.stage(name, 1, 5)
            bar.stage(name, 3, 5)
    training, screening = lines_of(terminal)[-2:]
    assert "training" in training
    assert "screening" in screening
    assert all(" 3/5 " in line for line in (training, screening))


def test_bars_show_nothing_elsewhere(capsys: Capture) -> None:
    with StageProgress("screen of s") as bar:
        bar.stage("screen", 1, 5)
    assert tuple(capsys.readouterr()) == ("", "")


# lines, where no bars are shown


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def status(depth: int, complete: int, budget: int) -> DepthStatus:
    """Return the progress of a depth, one of whose trials failed."""
    return DepthStatus(
        study="s",
        base="toy",
        depth=depth,
        budget=budget,
        complete=complete,
        running=1,
        waiting=0,
        failed=1,
        set_aside=0,
        beyond=0,
        best=0.5,
        workers=3,
        per_hour=None,
        hours_left=None,
        began=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_line_of_a_screen_has_stage_share_and_time_left() -> None:
    clock = Clock()
    bar = StageProgress("screen of s", clock)
    clock.now = 40.0
    assert bar.describe() == "screen of s: 40 s so far"
    bar.stage("screen", 100, 1000)  # 99 were done before
    clock.now = 50.0
    assert bar.describe() == "screen of s: screening 100 of 1000 (10 %)"
    bar.stage("screen", 200, 1000)
    assert bar.describe() == "screen of s: screening 200 of 1000 (20 %), about 80 s left"


def test_line_of_a_worker_has_trials_stage_and_time_left() -> None:
    clock = Clock()
    report = WorkerProgress({4: 1}, {4: 3, 7: 9}, study="s", clock=clock)
    assert report.describe() == "s: depth 4: 1 of 3, depth 7: 0 of 9 trials"
    report.started(CLAIM)
    report.stage("train", 0, 40)
    clock.now = 60.0
    report.stage("train", 10, 40)
    trials = "s: depth 4: 1 of 3, depth 7: 0 of 9 trials"
    assert report.describe() == f"{trials}; 0_1_2_3 training 10 of 40 (25 %), about 3 min left"

    clock.now = 120.0
    report.finished(CLAIM, Result(0.5))
    trials = "s: depth 4: 2 of 3, depth 7: 0 of 9 trials, about 20 min left"
    assert report.describe() == trials
    report.waiting(2)
    assert report.describe() == f"{trials}; waiting for 2 trials elsewhere"


def test_line_counts_the_trials_of_all_workers() -> None:
    clock = Clock()
    report = WorkerProgress(
        {4: 1}, {4: 9}, study="s", look=lambda: [status(4, 4, 20), status(7, 9, 9)], clock=clock
    )
    clock.now = 40.0
    assert report.describe() == "s: depth 4: 5 of 20 trials, about 2 min left"


def test_line_has_the_last_counts_while_the_database_is_away() -> None:
    def away() -> list[DepthStatus]:
        statement = "SELECT"
        raise OperationalError(statement, {}, ConnectionError())

    report = WorkerProgress({4: 1}, {4: 9}, study="s", look=away)
    assert report.describe() == "s: depth 4: 1 of 9 trials"


@pytest.mark.parametrize("kind", ["screen", "worker", "loading"])
def test_lines_are_printed_meanwhile(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = threading.Event()
    lines: list[str] = []

    def remark(line: str) -> None:
        lines.append(line)
        printed.set()

    monkeypatch.setattr(pulse, "EVERY_SECONDS", 0.001)
    monkeypatch.setattr(pulse, "remark", remark)

    def build(*_: object, **__: object) -> None:
        assert printed.wait(5)

    monkeypatch.setattr(progress, "build_evaluator", build)
    if kind == "loading":
        load_evaluator(short(), tmp_path, "cpu")
    else:
        shown: StageProgress | WorkerProgress = StageProgress("a")
        if kind == "worker":
            shown = WorkerProgress({}, {2: 5}, study="a")
        with shown:
            assert printed.wait(5)

    expected = {
        "screen": "a: 0 s so far",
        "worker": "a: depth 2: 0 of 5 trials",
        "loading": "loading the base and data of a, 0 s so far",
    }
    assert lines[0] == expected[kind]


# around it


def test_consequence_of_an_interruption_is_told(capsys: Capture) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible("it was given back"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "it was given back\n"


def test_consequence_of_an_interruption_is_not_told_of_errors(capsys: Capture) -> None:
    with pytest.raises(ZeroDivisionError), interruptible("it was given back"):
        _ = 1 / 0
    assert capsys.readouterr().err == ""


def test_the_reference_has_a_bar_and_a_mark(terminal: io.StringIO) -> None:
    whole = Claim(2, 1, (0, 1, 2, 3), seed=0, token=1, origin=Origin.REFERENCE)
    with WorkerProgress({4: 1}, {4: 3}) as report:
        report.count_references(0, 2)
        report.started(whole)
        report.finished(whole, Result(0.5))

    lines = lines_of(terminal)
    assert any("0_1_2_3  0.5000  0.0 s  (reference)" in line for line in lines)
    assert any("reference" in line and "1/2" in line for line in lines)
    assert any("depth 4" in line and "1/3" in line for line in lines)
    assert not any("depth 4" in line and "2/3" in line for line in lines)
