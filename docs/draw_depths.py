"""Draws docs/images/depths.svg: the score of all 50 subsets of a real base, by depth.

    python docs/draw_depths.py            # draw it anew
    python docs/draw_depths.py --check    # fail when the picture is stale

The scores are those of benchmarks/minilm.csv: all-MiniLM-L6-v2 cut to every subset of 2, 3 and 4 of
its 6 layers, each truly fine-tuned with two seeds.
"""

import argparse
import csv
import io
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.space import LayerSpace, Subset, format_subset, parse_subset
from search.space.families import FAMILIES, build_family

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "benchmarks" / "minilm.csv"
PICTURE = ROOT / "docs" / "images" / "depths.svg"
LAYERS = 6
"""Layers of the base."""
PICKS = [family for family in FAMILIES if family not in ("bottom", "top")]
"""Families drawn as diamonds; the first layers and the last ones have lines of their own."""

_GOLDEN = 0.618  # steps of this size spread dots evenly beside each other, without chance
_WIDTH = 0.34  # of the cloud of dots of one depth, in depths
_STEP = 0.05  # between the diamonds of one depth, in depths

# the colours of the light picture, and their counterparts on a dark page
_PAPER, _INK, _DOT = "#ffffff", "#1f2328", "#8c959f"
_BEST, _FIRST, _LAST, _HAND = "#0969da", "#cf222e", "#9a6700", "#1a7f37"
_DARK = {
    _PAPER: "#0d1117",
    _INK: "#e6edf3",
    _DOT: "#6e7681",
    _BEST: "#58a6ff",
    _FIRST: "#ff7b72",
    _LAST: "#d29922",
    _HAND: "#3fb950",
}

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "layer-search",  # the same ids every time
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.facecolor": _PAPER,
    "figure.facecolor": _PAPER,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One subset of each depth, joined by a line; `offset` is that of the keys, in points."""

    label: str
    subsets: Sequence[Subset]
    color: str
    offset: float


def read_scores() -> dict[Subset, float]:
    """Return the mean NDCG@10 over seeds of each subset."""
    found = defaultdict(list)
    with SCORES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[parse_subset(row["subset"])].append(float(row["mean"]))
    return {subset: mean(scores) for subset, scores in found.items()}


def hand_made(depth: int) -> list[Subset]:
    """Return the members of the families that people pick by hand."""
    space = LayerSpace(LAYERS, depth, period=None, cadence="free", keep_first=False)
    return [subset for family in PICKS for subset in build_family(family, space).subsets]


def draw(scores: Mapping[Subset, float]) -> str:
    """Return the picture as SVG, for light and dark pages."""
    depths = sorted({len(subset) for subset in scores})
    by_depth = {
        depth: sorted((s for s in scores if len(s) == depth), key=lambda s: scores[s])
        for depth in depths
    }

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(8.2, 4.6), layout="constrained")
        axes = figure.subplots()
        lines = _lines(by_depth)
        picks = {depth: hand_made(depth) for depth in depths}
        named = {subset for line in lines for subset in line.subsets}
        named |= {subset for several in picks.values() for subset in several}

        _draw_dots(axes, scores, [subset for subset in scores if subset not in named])
        _draw_picks(axes, scores, picks)
        for line in lines:
            _draw_line(axes, scores, line)
        _dress(axes, depths)

        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return _adapted_to_dark(text.getvalue())


def _lines(by_depth: Mapping[int, Sequence[Subset]]) -> list[Line]:
    """Return the lines through the best, the last layers and the first layers of each depth."""
    best = [subsets[-1] for subsets in by_depth.values()]
    last = [tuple(range(LAYERS - depth, LAYERS)) for depth in by_depth]
    first = [tuple(range(depth)) for depth in by_depth]
    return [
        Line("the best", best, _BEST, offset=10),
        Line("the last layers", last, _LAST, offset=-16),
        Line("the first layers", first, _FIRST, offset=-16),
    ]


def _draw_dots(axes: Axes, scores: Mapping[Subset, float], subsets: Sequence[Subset]) -> None:
    """Draw a dot for each of `subsets`, side by side within their depth."""
    ranked = sorted(subsets, key=lambda subset: (len(subset), scores[subset]))
    x = [
        len(subset) + ((number * _GOLDEN) % 1 - 0.5) * _WIDTH
        for number, subset in enumerate(ranked)
    ]
    y = [scores[subset] for subset in ranked]
    label = f"every other subset, {len(scores)} in all"
    axes.scatter(x, y, s=18, color=_DOT, linewidths=0, label=label)


def _draw_picks(
    axes: Axes, scores: Mapping[Subset, float], picks: Mapping[int, Sequence[Subset]]
) -> None:
    """Draw a diamond for each hand-made pick, side by side within their depth."""
    places = [
        (depth + (number - len(set(subsets)) // 2) * _STEP, scores[subset])
        for depth, subsets in picks.items()
        for number, subset in enumerate(dict.fromkeys(subsets))
    ]
    x, y = zip(*places, strict=True)
    label = f"usual picks: {', '.join(PICKS)}"
    axes.scatter(x, y, s=40, marker="D", facecolors="none", edgecolors=_HAND, label=label)


def _draw_line(axes: Axes, scores: Mapping[Subset, float], line: Line) -> None:
    """Draw a line through one subset of each depth, and write its key beside it."""
    x, y = zip(*((len(subset), scores[subset]) for subset in line.subsets), strict=True)
    axes.plot(x, y, "o-", color=line.color, markersize=5, linewidth=1.5, label=line.label)
    for subset in line.subsets:
        axes.annotate(
            format_subset(subset),
            (len(subset), scores[subset]),
            xytext=(0, line.offset),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=line.color,
        )


def _dress(axes: Axes, depths: Sequence[int]) -> None:
    """Name the axes, and place the legend."""
    axes.set_title("all-MiniLM-L6-v2: which of its 6 layers to keep", loc="left", fontsize=12)
    axes.set_xlabel("depth: layers kept")
    axes.set_ylabel("NDCG@10 after a short fine-tune")
    axes.set_xticks(depths)
    axes.set_xlim(min(depths) - 0.4, max(depths) + 0.4)
    axes.set_ylim(0.5, 0.9)
    axes.spines[["top", "right"]].set_visible(b=False)
    axes.legend(loc="upper left", fontsize=9, frameon=False, ncols=2)


def _adapted_to_dark(svg: str) -> str:
    """Add a style that exchanges the colours where the reader's page is dark."""
    rules = [
        f'    [style*="{part}: {light}"] {{ {part}: {dark} !important }}'
        for light, dark in _DARK.items()
        for part in ("fill", "stroke")
    ]
    style = "\n".join(["<style>", "  @media (prefers-color-scheme: dark) {", *rules, "  }"])
    head, mark, rest = svg.partition("<defs>")
    text = f"{head}{style}\n</style>\n{mark}{rest}"
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main() -> int:
    """Draw the picture, or say whether it is stale."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when stale")
    check = parser.parse_args().check

    drawn = draw(read_scores())
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(drawn, encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != drawn:
        sys.stderr.write(f"{PICTURE.name} is stale: python {Path(__file__).name}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
