"""Draws docs/images/architecture.svg: the packages, their layers, and the imports between them.

    python docs/draw_architecture.py            # draw it anew
    python docs/draw_architecture.py --check    # fail when the picture is stale

The layers come from the contracts in pyproject.toml, the imports from the code itself (grimp), the
captions from the first lines of the modules' docstrings. Only imports that no chain of others
implies are drawn.
"""

import argparse
import ast
import importlib.util
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PACKAGES = ("evaluators", "search", "storage")

# sizes in pixels
_WIDTH, _HEIGHT = 330, 44
_GAP_X, _GAP_Y = 16, 20
_MARGIN, _TITLE = 24, 34
_BETWEEN = 60  # packages
_CAPTION = 56  # characters that fit into a box

_STYLE = """
  text { font-family: system-ui, sans-serif; fill: #1f2328 }
  .frame { fill: #f6f8fa; stroke: #d0d7de }
  .box { fill: #ffffff; stroke: #8c959f }
  .package { font-size: 17px; font-weight: 600 }
  .name { font-size: 13px; font-weight: 600 }
  .caption { font-size: 11px; fill: #57606a }
  .arrow { stroke: #57606a; fill: none }
  .wide { stroke-width: 2 }
  .head { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .frame { fill: #161b22; stroke: #30363d }
    .box { fill: #0d1117; stroke: #6e7681 }
    .caption { fill: #9198a1 }
    .arrow { stroke: #9198a1 }
    .head { fill: #9198a1 }
  }
"""


@dataclass(frozen=True, slots=True)
class Box:
    """One module or subpackage in the picture; x and y are of its upper left corner."""

    name: str
    caption: str
    x: float
    y: float
    width: float

    def __str__(self) -> str:
        """Return the box as SVG."""
        return (
            f'<rect class="box" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{_HEIGHT}" rx="6"/>'
            f'<text class="name" x="{self.x + 10:g}" y="{self.y + 18:g}">{escape(self.name)}</text>'
            f'<text class="caption" x="{self.x + 10:g}" y="{self.y + 34:g}">'
            f"{escape(self.caption)}</text>"
        )


def layers_of(package: str) -> list[list[str]]:
    """Return the layers of a package from top to bottom, as its import contract names them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    contract = next(one for one in contracts if one.get("containers") == [package])
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def imports_within(package: str) -> set[tuple[str, str]]:
    """Return the imports between the children of a package that no chain of others implies."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    children = graph.find_children(package)
    for child in children:
        if graph.find_children(child):
            graph.squash_module(child)
    arrows = {
        (a.removeprefix(f"{package}."), b.removeprefix(f"{package}."))
        for a, b in product(children, repeat=2)
        if a != b and graph.direct_import_exists(importer=a, imported=b)
    }
    return {(a, b) for a, b in arrows if not _is_implied(a, b, arrows)}


def _is_implied(a: str, b: str, arrows: set[tuple[str, str]]) -> bool:
    """Whether `a` reaches `b` without the arrow between them."""
    open_nodes = [end for start, end in arrows if start == a and end != b]
    reached: set[str] = set()
    while open_nodes:
        node = open_nodes.pop()
        if node == b:
            return True
        if node not in reached:
            reached.add(node)
            open_nodes += [end for start, end in arrows if start == node]
    return False


def caption_of(module: str) -> str:
    """Return the first sentence of a module's docstring, cut to the width of a box."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(module)
    source = Path(spec.origin).read_text(encoding="utf-8")
    first_line = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]

    # its first sentence, and of "The surrogate: a Gaussian process" the second half
    text = first_line.partition(". ")[0].rstrip(".")
    text = text.partition(": ")[2] or text
    return text if len(text) <= _CAPTION else text[: _CAPTION - 1].rpartition(" ")[0] + " …"


def draw() -> str:
    """Return the picture as SVG."""
    parts: list[str] = []
    left, bottom = float(_MARGIN), 0.0
    for package in PACKAGES:
        layers = layers_of(package)
        width = _WIDTH + 2 * _MARGIN
        height = _TITLE + len(layers) * (_HEIGHT + _GAP_Y) - _GAP_Y + _MARGIN
        boxes = list(_place(package, layers, left + _MARGIN, _MARGIN + _TITLE))
        parts += [
            (
                f'<rect class="frame" x="{left:g}" y="{_MARGIN}" width="{width:g}" '
                f'height="{height:g}" rx="10"/>'
            ),
            f'<text class="package" x="{left + _MARGIN:g}" y="{_MARGIN + 24}">{package}</text>',
            *map(str, boxes),
            *_arrows(boxes, imports_within(package)),
        ]
        left += width + _BETWEEN
        bottom = max(bottom, _MARGIN + height)

    # search stands in the middle, and imports its two neighbours
    y = _MARGIN + _TITLE / 2
    for edge, way in ((_MARGIN + width + _BETWEEN, -1), (_MARGIN + 2 * width + _BETWEEN, 1)):
        end = edge + way * (_BETWEEN - 1)
        parts.append(
            f'<path class="arrow wide" d="M{edge:g},{y:g} L{end:g},{y:g}" marker-end="url(#head)"/>'
        )

    total_width, total_height = left - _BETWEEN + _MARGIN, bottom + _MARGIN
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width:g} '
                f'{total_height:g}" role="img" aria-label="Packages, layers and imports">'
            ),
            f"<style>{_STYLE}</style>",
            (
                '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
                'markerHeight="7" orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker>'
                "</defs>"
            ),
            *parts,
            "</svg>",
            "",
        ]
    )


def _place(package: str, layers: Sequence[Sequence[str]], x: float, y: float) -> Iterator[Box]:
    """Yield a box for each module: a row for each layer, its modules beside each other."""
    for row, layer in enumerate(layers):
        width = (_WIDTH - (len(layer) - 1) * _GAP_X) / len(layer)
        for column, name in enumerate(layer):
            caption = caption_of(f"{package}.{name}") if len(layer) == 1 else ""
            yield Box(
                name,
                caption,
                x + column * (width + _GAP_X),
                y + row * (_HEIGHT + _GAP_Y),
                width,
            )


def _arrows(boxes: Sequence[Box], imports: set[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each import: straight to the next row, around the boxes to later ones."""
    by_name = {box.name: box for box in boxes}
    lanes = 0
    for importer, imported in sorted(imports, key=lambda pair: (by_name[pair[0]].y, pair)):
        a, b = by_name[importer], by_name[imported]
        start, end = a.x + a.width / 2, b.x + b.width / 2
        if b.y - a.y < 1.5 * (_HEIGHT + _GAP_Y):
            path = f"M{start:g},{a.y + _HEIGHT:g} L{end:g},{b.y - 1:g}"
        else:
            # down a lane beside the boxes, then into the target from above
            lanes += 1
            is_right = start > boxes[0].x + _WIDTH / 2
            edge = a.x + a.width if is_right else a.x
            lane = edge + (2 + 4 * lanes) * (1 if is_right else -1)
            turn = b.y - _GAP_Y / 2 - 2
            path = (
                f"M{edge:g},{a.y + _HEIGHT / 2:g} L{lane:g},{a.y + _HEIGHT / 2:g} "
                f"L{lane:g},{turn:g} L{end + 6 * lanes:g},{turn:g} L{end + 6 * lanes:g},{b.y - 1:g}"
            )
        yield f'<path class="arrow" d="{path}" marker-end="url(#head)"/>'


def main() -> int:
    """Draw the picture, or check that it is fresh."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when the picture is stale")
    drawn = draw()
    if not parser.parse_args().check:
        PICTURE.write_text(drawn, encoding="utf-8")
        return 0
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == drawn:
        return 0
    print("docs/images/architecture.svg is stale: run `python docs/draw_architecture.py`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
