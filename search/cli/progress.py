"""Shows what a worker does: bars on a terminal, a line per trial elsewhere."""

from collections.abc import Mapping
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

from search.cli.output import errors
from storage.claims import Claim
from storage.results import Result
from storage.schema import BEYOND_BUDGET

_STAGES = {
    "cut": "cutting", "train": "training", "evaluate": "evaluating", "screen": "screening",
}  # fmt: skip


def _bars() -> Progress:
    """Bars on a terminal, nothing elsewhere."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
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

    def __exit__(self, *_: object) -> None:
        """Leave the bar standing."""
        self._bars.stop()

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the bar of this stage."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(_STAGES.get(name, name))
        self._bars.update(self._tasks[name], completed=done, total=total)


class WorkerProgress:
    """A `search.worker.Reporter` for people: one bar per depth and one for the running trial.

    Args:
        done: trials that are over, by depth.
        budgets: trials in all, by depth.
        failures: whether to print a line for a failed trial.
    """

    def __init__(
        self, done: Mapping[int, int], budgets: Mapping[int, int], *, failures: bool = True
    ) -> None:
        self._failures = failures
        self._bars = _bars()
        self._depths: dict[int, TaskID] = {
            depth: self._bars.add_task(f"depth {depth}", total=budget, completed=done.get(depth, 0))
            for depth, budget in budgets.items()
        }
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
        """Take the trial's bar away and leave the depths' standing."""
        self._bars.remove_task(self._trial)
        self._bars.stop()

    def started(self, held: Claim) -> None:
        """Begin a bar for the trial."""
        self._bars.reset(self._trial, description=f"{held.subset}", total=None)

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the trial's bar."""
        subset = self._bars.tasks[self._index()].description.split(" ", 1)[0]
        description = f"{subset} {_STAGES.get(name, name)}"
        self._bars.update(self._trial, description=description, completed=done, total=total)

    def finished(self, held: Claim, result: Result) -> None:
        """Print the trial's line and move its depth's bar."""
        seconds = sum(result.seconds.values())
        if result.mean is None and not self._failures:
            return
        if result.mean is None:
            line = f"[red]{held.subset}  failed: {escape(str(result.error))}[/red]"
        else:
            line = f"{held.subset}  [bold]{result.mean:.4f}[/bold]  {seconds:.1f} s"
        for note in result.notes:
            line += f"  [dim]({escape(note)})[/dim]"
        self._bars.console.print(line, highlight=False, soft_wrap=True)
        if held.depth in self._depths and held.origin not in BEYOND_BUDGET:
            self._bars.advance(self._depths[held.depth])

    def waiting(self, running: int) -> None:
        """Say what is waited for."""
        noun = "trial" if running == 1 else "trials"
        self._bars.reset(
            self._trial, description=f"waiting for {running} {noun} elsewhere", total=None
        )

    def _index(self) -> int:
        return next(i for i, task in enumerate(self._bars.tasks) if task.id == self._trial)
