"""The progress of a command: bars on a terminal, elsewhere a line per trial and every 30 seconds.

Also the two moments around it: loading the evaluator, and being interrupted.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sqlalchemy.exc import SQLAlchemyError

import evaluators
from search.cli.output import busy, errors, remark, remark_styled
from search.cli.pulse import Clock, Pace, Pulse, StageClock, format_seconds
from search.cli.tables import format_error
from search.study.file import StudyFile
from search.study.plan import build_evaluator
from storage.leaderboard import DepthStatus
from storage.queue import Claim, Result
from storage.states import Origin

_STAGES = {
    "cut": "cutting",
    "train": "training",
    "evaluate": "evaluating",
    "screen": "screening",
    "measure": "measuring speed",
}


def load_evaluator(
    file: StudyFile, folder: Path, device: str | None, *, base_only: bool = False
) -> evaluators.Evaluator:
    """Load the base of a study, and its data, and say so meanwhile.

    Args:
        file: the study file.
        folder: folder that its relative paths start from.
        device: torch device; None takes the best there is.
        base_only: load no data: enough to export.

    Raises:
        evaluators.InputError: base or data are missing or do not fit.
    """
    loaded = "base" if base_only else "base and data"
    doing, pace = f"loading the {loaded} of {file.study.name}", Pace()
    with (
        busy(doing),
        Pulse(lambda: f"{doing}, {format_seconds(pace.seconds)} so far"),
    ):
        return build_evaluator(file, folder, device, base_only=base_only)


@contextmanager
def interruptible(consequence: str) -> Iterator[None]:
    """Print `consequence` when the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        remark(consequence)
        raise


def _bars() -> Progress:
    """Return bars for a terminal, which show nothing elsewhere."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
    )


class StageProgress:
    """One bar that begins anew with each stage.

    Args:
        title: what the command does, in words.
        clock: seconds that only grow.
    """

    def __init__(self, title: str, clock: Clock = time.monotonic) -> None:
        self._bars = _bars()
        self._tasks: dict[str, TaskID] = {}
        self._title, self._pace = title, Pace(clock)
        self._stage = StageClock(clock)
        self._pulse = Pulse(self.describe)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bars.start()
        self._pulse.__enter__()
        return self

    def describe(self) -> str:
        """Return the progress as a line."""
        now = self._stage.describe() or f"{format_seconds(self._pace.seconds)} so far"
        return f"{self._title}: {now}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the bar standing."""
        self._pulse.__exit__(kind, error, traceback)
        self._bars.stop()

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the bar of this stage."""
        self._stage.note(_STAGES.get(name, name), done, total)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(_STAGES.get(name, name))
        self._bars.update(self._tasks[name], completed=done, total=total)


class WorkerProgress:
    """A `search.worker.loop.Reporter` for people: a bar per depth, and one for the running trial.

    Args:
        done: trials that are over, by depth.
        budgets: trials in all, by depth.
        study: name of the study.
        failures: whether to print a line for a failed trial.
        look: returns the progress of the study by all workers; none when left out.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        done: Mapping[int, int],
        budgets: Mapping[int, int],
        *,
        study: str = "",
        failures: bool = True,
        look: Callable[[], Sequence[DepthStatus]] = list,
        clock: Clock = time.monotonic,
    ) -> None:
        self._failures = failures
        self._subset = ""
        self._study, self._look, self._clock = study, look, clock
        self._counts = {depth: (done.get(depth, 0), budget) for depth, budget in budgets.items()}
        self._references = (0, 0)
        self._pace, self._stage = Pace(clock), StageClock(clock)
        self._pace.left(*self._all_trials())
        self._pulse = Pulse(self.describe)

        self._bars = _bars()
        self._depths: dict[int, TaskID] = {
            depth: self._bars.add_task(f"depth {depth}", total=budget, completed=done.get(depth, 0))
            for depth, budget in budgets.items()
        }

        self._reference: TaskID | None = None

        self._trial = self._bars.add_task("starting", total=None)

    def __enter__(self) -> Self:
        """Show the bars."""
        self._bars.start()
        self._pulse.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the trial's bar away and leave the bars of the depths standing."""
        self._pulse.__exit__(kind, error, traceback)
        self._bars.remove_task(self._trial)
        self._bars.stop()

    def describe(self) -> str:
        """Return the progress as a line: trials by depth, the running trial, and the time left."""
        with suppress(SQLAlchemyError):  # the database may be away: the last counts will do
            for row in self._look():
                if row.depth in self._counts:
                    self._counts[row.depth] = (row.complete + row.failed, row.budget)

        counts = [f"depth {depth}: {n} of {all_}" for depth, (n, all_) in self._counts.items()]
        trials = ", ".join(counts) + " trials" if counts else ""
        now = " ".join(filter(None, (self._subset, self._stage.describe())))
        parts = (trials + self._pace.left(*self._all_trials()), now)
        return ": ".join(filter(None, (self._study, "; ".join(filter(None, parts)))))

    def _all_trials(self) -> tuple[int, int]:
        """Return the numbers of trials of all depths and of the reference: over, and in all."""
        counts = (*self._counts.values(), self._references)
        return sum(done for done, _ in counts), sum(budget for _, budget in counts)

    def started(self, claim: Claim) -> None:
        """Begin a bar for the trial."""
        self._subset, self._stage = claim.key, StageClock(self._clock)
        self._bars.reset(self._trial, description=self._subset, total=None)

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the trial's bar."""
        self._stage.note(_STAGES.get(name, name), done, total)
        description = f"{self._subset} {_STAGES.get(name, name)}"
        self._bars.update(self._trial, description=description, completed=done, total=total)

    def finished(self, claim: Claim, result: Result) -> None:
        """Print the trial's line and move its depth's bar."""
        self._subset, self._stage = "", StageClock(self._clock)
        self._advance(claim)
        self._pace.left(*self._all_trials())  # it is timed from here
        if result.mean is None and not self._failures:
            return

        if result.mean is None:
            reason = format_error(result.error, set_aside=result.set_aside)
            parts = [(f"{claim.key}  failed: {reason}", "red")]
        else:
            seconds = sum(result.seconds.values())
            parts = [
                (f"{claim.key}  ", ""),
                (f"{result.mean:.4f}", "bold"),
                (f"  {seconds:.1f} s", ""),
            ]
        if claim.origin is Origin.REFERENCE:
            parts.append(("  (reference)", "dim"))
        parts += [(f"  ({note})", "dim") for note in result.notes]
        remark_styled(*parts)

    def count_references(self, done: int, total: int) -> None:
        """Add a bar for the trials of the reference.

        Args:
            done: trials of it that are over.
            total: trials of it in all.
        """
        self._references = (done, total)
        self._pace = Pace(self._clock)
        self._pace.left(*self._all_trials())
        self._reference = self._bars.add_task("reference", total=total, completed=done)

    def _advance(self, claim: Claim) -> None:
        """Count a trial that has ended, if its depth's budget does."""
        if claim.depth in self._depths and claim.origin.is_budgeted:
            self._bars.advance(self._depths[claim.depth])
            done, budget = self._counts[claim.depth]
            self._counts[claim.depth] = (done + 1, budget)
        if claim.origin is Origin.REFERENCE and self._reference is not None:
            self._bars.advance(self._reference)
            done, total = self._references
            self._references = (done + 1, total)

    def waiting(self, running: int) -> None:
        """Say that trials of other workers are waited for."""
        noun = "trial" if running == 1 else "trials"
        self._subset = f"waiting for {running} {noun} elsewhere"
        self._bars.reset(self._trial, description=self._subset, total=None)
