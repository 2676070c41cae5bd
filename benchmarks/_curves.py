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
    from matplotlib import pyplot as plt  # noqa: PLC0415

    panels = {title: curves for title, curves in found.items() if "workers" in title}
    if not panels:
        return
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.6), squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, curve in curves.items():
            means = [statistics.mean(curve[at]) for at in AT]
            axis.plot(AT, means, label=name, linewidth=2 if name == "gp" else 1)
        axis.set(title=title, xlabel="trials", ylabel="simple regret of the answer", yscale="log")
    axes[0][-1].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path)
