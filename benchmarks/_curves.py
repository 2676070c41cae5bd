"""Regret curves of several samplers: as a table, as differences of pairs, and drawn."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=120)

AT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Numbers of finished trials after which the answer is looked at."""

Curve = dict[int, float]
"""Regret of the answer, or another figure, by number of trials."""
Values = dict[int, list[float]]
"""The same of several seeds, one value each."""

COMPARED = (
    (("auto", 100), ("one seed", 100)),
    (("kindred depth 4", 30), ("alone", 60)),
    (("kindred depth 4, auto replicates", 30), ("alone, auto replicates", 60)),
    (("strange depth 4", 50), ("alone", 50)),
)
"""Pairs of (name, number of trials) whose regret is compared landscape by landscape."""

_SHOWN = (0, 20, 30, 50, 60, 100, 1000)  # numbers of trials that have a column
_NORMAL_95 = 1.96  # standard errors of a 95 % interval
_PANELS_IN_ROW = 4
_FLOOR = 5e-5  # a regret of 0 has no place on a logarithmic axis


def show_curves(title: str, results: Sequence[Mapping[str, Curve]]) -> dict[str, Values]:
    """Print mean and standard error by sampler, and return all values by sampler.

    Args:
        title: title of the table.
        results: for each seed, the curve of each sampler.
    """
    values = {
        name: {at: [result[name][at] for result in results] for at in results[0][name]}
        for name in results[0]
    }
    columns = sorted({at for curve in values.values() for at in curve})
    shown = [at for at in columns if at in _SHOWN]

    table = Table(title=f"{title} (seeds: {len(results)})", title_justify="left")
    table.add_column("")
    for at in shown:
        table.add_column(f"{at} trials" if at else "trials", justify="right")
    for name, curve in values.items():
        table.add_row(name, *(_mean_and_error(curve.get(at)) for at in shown))
    CONSOLE.print(table)

    for first, second in COMPARED:
        if first[0] in values and second[0] in values:
            _show_difference(values, first, second)
    return values


def _show_difference(
    values: Mapping[str, Values], first: tuple[str, int], second: tuple[str, int]
) -> None:
    """Print the mean difference in regret of two samplers on the same landscapes."""
    (one, after), (other, other_after) = first, second
    pairs = zip(values[one][after], values[other][other_after], strict=True)
    differences = [a - b for a, b in pairs]

    mean, margin = statistics.mean(differences), _NORMAL_95 * _standard_error(differences)
    CONSOLE.print(
        f"{one} after {after} trials less {other} after {other_after}: {mean:+.4f}, "
        f"95 %: {mean - margin:+.4f} to {mean + margin:+.4f}"
    )


def _mean_and_error(values: Sequence[float] | None) -> str:
    """Return mean and standard error as text; nothing without values."""
    return f"{statistics.mean(values):.4f} ± {_standard_error(values):.4f}" if values else ""


def _standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean; 0 for a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def draw_curves(found: Mapping[str, Mapping[str, Values]], path: Path) -> None:
    """Draw the regret curves of the searches, one panel each; nothing when there are none.

    Args:
        found: by title, the values of each sampler.
        path: the file to write; its suffix decides the format.
    """
    panels = {title: curves for title, curves in found.items() if "workers" in title}
    if not panels:
        return

    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and needed only to draw

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "regret"  # the same values draw the same file
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    rows = math.ceil(len(panels) / _PANELS_IN_ROW)
    columns = min(len(panels), _PANELS_IN_ROW)
    size = (4.2 * columns, 3.4 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)

    for axis, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        for number, (name, curve) in enumerate(curves.items()):
            means = [max(statistics.mean(curve[at]), _FLOOR) for at in AT]
            width = 2.2 if name.startswith("gp") and "priorities" not in name else 1.0
            axis.plot(AT, means, label=name, linewidth=width, color=f"C{number}")
        axis.set(title=title, xlabel="trials", yscale="log")
    for left in grid[:, 0]:
        left.set_ylabel("simple regret of the answer")

    spare = list(grid.flat)[len(panels) :]
    for axis in spare:
        axis.axis("off")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    (spare[0] if spare else grid[0, -1]).legend(handles, labels, fontsize=8, loc="center")

    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
