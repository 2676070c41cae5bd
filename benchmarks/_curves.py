"""Regret curves of several samplers: as a table, as differences of pairs, and drawn."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=120)
AT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Numbers of finished trials after which the answer is looked at."""
Curve = dict[int, float]
"""Regret of the answer, or another figure, by number of trials."""
_ABREAST = 4  # panels in a row
_FLOOR = 5e-5  # a regret of 0 has no place on a logarithmic axis
COMPARED = (
    (("auto", 100), ("one seed", 100)),
    (("kindred depth 4", 30), ("alone", 60)),
    (("kindred depth 4, auto replicates", 30), ("alone, auto replicates", 60)),
    (("strange depth 4", 50), ("alone", 50)),
)
"""Whose regret after so many trials is compared with whose, landscape by landscape."""


def show(title: str, results: Sequence[dict[str, Curve]]) -> dict[str, dict[int, list[float]]]:
    """Print mean and standard error by sampler; returns all values."""
    values = {
        name: {at: [result[name][at] for result in results] for at in results[0][name]}
        for name in results[0]
    }
    columns = sorted({at for curve in values.values() for at in curve})
    shown = [at for at in columns if at in (0, 20, 30, 50, 60, 100, 1000)]
    table = Table(title=f"{title} (seeds: {len(results)})", title_justify="left")
    table.add_column("")
    for at in shown:
        table.add_column(f"{at} trials" if at else "trials", justify="right")
    for name, curve in values.items():
        table.add_row(name, *(_cell(curve.get(at)) for at in shown))
    CONSOLE.print(table)
    for (one, after), (other, as_after) in COMPARED:
        if one in values and other in values:
            pairs = zip(values[one][after], values[other][as_after], strict=True)
            gaps = [a - b for a, b in pairs]
            mean, margin = statistics.mean(gaps), 1.96 * _error(gaps)
            CONSOLE.print(
                f"{one} after {after} trials less {other} after {as_after}: {mean:+.4f}, "
                f"95 %: {mean - margin:+.4f} to {mean + margin:+.4f}"
            )
    return values


def _cell(values: Sequence[float] | None) -> str:
    return f"{statistics.mean(values):.4f} ± {_error(values):.4f}" if values else ""


def _error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def draw(found: dict[str, dict[str, dict[int, list[float]]]], path: Path) -> None:
    """Draw the regret curves of the searches, one panel each."""
    import matplotlib as mpl  # noqa: PLC0415 - only for curves

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "regret"  # the same values draw the same file
    from matplotlib import pyplot as plt  # noqa: PLC0415

    panels = {title: curves for title, curves in found.items() if "workers" in title}
    if not panels:
        return
    rows = math.ceil(len(panels) / _ABREAST)
    size = (4.2 * min(len(panels), _ABREAST), 3.4 * rows)
    figure, grid = plt.subplots(rows, min(len(panels), _ABREAST), figsize=size, squeeze=False)
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
