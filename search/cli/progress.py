"""The progress of a command: bars on a terminal, a line per trial elsewhere.

Also the two moments around it: loading the evaluator, and being interrupted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.markup import escape
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

import evaluators
from search.cli.output import errors, remark
from search.cli.tables import format_error
from search.study.file import StudyFile
from search.study.plan import build_evaluator
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
    with errors.status(f"loading the {loaded} of {file.study.name}"):
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
    """One bar that begins anew with each stage."""

    def __init__(self) -> None:
        self._bars = _bars()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the bar standing."""
        self._bars.stop()

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the bar of this stage."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(_STAGES.get(name, name))
        self._bars.update(self._tasks[name], completed=done, total=total)


class WorkerProgress:
    """A `search.worker.loop.Reporter` for people: a bar per depth, and one for the running trial.

    Args:
        done: trials that are over, by depth.
        budgets: trials in all, by depth.
        references: trials of the reference that are over, and in all; None without any.
        failures: whether to print a line for a failed trial.
    """

    def __init__(
        self,
        done: Mapping[int, int],
        budgets: Mapping[int, int],
        *,
        references: tuple[int, int] | None = None,
        failures: bool = True,
    ) -> None:
        self._failures = failures
        self._subset = ""
        self._bars = _bars()
        self._depths: dict[int, TaskID] = {
            depth: self._bars.add_task(f"depth {depth}", total=budget, completed=done.get(depth, 0))
            for depth, budget in budgets.items()
        }

        self._reference: TaskID | None = None
        if references is not None:
            ended, total = references
            self._reference = self._bars.add_task("reference", total=total, completed=ended)

        self._trial = self._bars.add_task("starting", total=None)

    def __enter__(self) -> Self:
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the trial's bar away and leave the bars of the depths standing."""
        self._bars.remove_task(self._trial)
        self._bars.stop()

    def started(self, claim: Claim) -> None:
        """Begin a bar for the trial."""
        self._subset = claim.key
        self._bars.reset(self._trial, description=self._subset, total=None)

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the trial's bar."""
        description = f"{self._subset} {_STAGES.get(name, name)}"
        self._bars.update(self._trial, description=description, completed=done, total=total)

    def finished(self, claim: Claim, result: Result) -> None:
        """Print the trial's line and move its depth's bar."""
        if result.mean is None and not self._failures:
            return

        if result.mean is None:
            reason = format_error(result.error, set_aside=result.set_aside)
            line = f"[red]{claim.key}  failed: {escape(str(reason))}[/red]"
        else:
            seconds = sum(result.seconds.values())
            line = f"{claim.key}  [bold]{result.mean:.4f}[/bold]  {seconds:.1f} s"
        if claim.origin is Origin.REFERENCE:
            line += "  [dim](reference)[/dim]"
        for note in result.notes:
            line += f"  [dim]({escape(note)})[/dim]"
        self._bars.console.print(line, highlight=False, soft_wrap=True)

        if claim.depth in self._depths and claim.origin.is_budgeted:
            self._bars.advance(self._depths[claim.depth])
        if claim.origin is Origin.REFERENCE and self._reference is not None:
            self._bars.advance(self._reference)

    def waiting(self, running: int) -> None:
        """Say that trials of other workers are waited for."""
        noun = "trial" if running == 1 else "trials"
        self._bars.reset(
            self._trial, description=f"waiting for {running} {noun} elsewhere", total=None
        )
