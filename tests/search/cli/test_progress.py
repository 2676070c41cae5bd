"""The progress of a command: a line per trial, bars only on a terminal."""

import io
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from search.cli import progress
from search.cli.progress import StageProgress, WorkerProgress, interruptible
from storage.queue import Claim, Result
from storage.states import Origin

Capture = pytest.CaptureFixture[str]
CLAIM = Claim(1, 1, (0, 1, 2, 3), seed=0, token=1)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The text that is written to a terminal of 160 columns, in place of stderr."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=160, color_system=None)
    monkeypatch.setattr(progress, "errors", console)
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
    with StageProgress() as bar:
        for name in ("train", "screen"):
            bar.stage(name, 1, 5)
            bar.stage(name, 3, 5)
    training, screening = lines_of(terminal)[-2:]
    assert "training" in training
    assert "screening" in screening
    assert all(" 3/5 " in line for line in (training, screening))


def test_bars_show_nothing_elsewhere(capsys: Capture) -> None:
    with StageProgress() as bar:
        bar.stage("screen", 1, 5)
    assert tuple(capsys.readouterr()) == ("", "")


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
    with WorkerProgress({4: 1}, {4: 3}, references=(0, 2)) as report:
        report.started(whole)
        report.finished(whole, Result(0.5))

    lines = lines_of(terminal)
    assert any("0_1_2_3  0.5000  0.0 s  (reference)" in line for line in lines)
    assert any("reference" in line and "1/2" in line for line in lines)
    assert any("depth 4" in line and "1/3" in line for line in lines)
    assert not any("depth 4" in line and "2/3" in line for line in lines)
