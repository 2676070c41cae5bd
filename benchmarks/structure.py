"""Measures the structure of the code: modules, imports between them, lengths, docstrings, air.

    python benchmarks/structure.py            # this checkout
    python benchmarks/structure.py FOLDER     # another one, such as an older release

Imports come from grimp, which also stands behind import-linter; the rest is read from the source.
"""

import argparse
import ast
import functools
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import grimp
from rich.console import Console
from rich.table import Table

PACKAGES = ("search", "evaluators", "storage")
LONG_FUNCTION = 20
"""Lines from which on a function needs paragraphs."""

_RIDDLE = re.compile(r"\b(what|whatever|those|these|others)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the code.

    Attributes:
        module: its file, relative to the checkout.
        name: its name.
        first_line: the first line of its docstring; None without one.
        lines: number of its lines.
        code_lines: number of its lines outside of the docstring.
        blank_lines: number of blank lines among these.
        imports: number of import statements inside it.
        parameters: number of its parameters, `self` and `cls` aside.
    """

    module: str
    name: str
    first_line: str | None
    lines: int
    code_lines: int
    blank_lines: int
    imports: int
    parameters: int

    @property
    def is_long(self) -> bool:
        """Whether it needs paragraphs."""
        return self.lines > LONG_FUNCTION


@dataclass(frozen=True, slots=True)
class Graph:
    """The imports between the direct children of one package.

    Attributes:
        children: names of the children, subpackages and modules alike.
        arrows: pairs (importer, imported) of children.
    """

    children: frozenset[str]
    arrows: frozenset[tuple[str, str]]

    @property
    def circles(self) -> list[frozenset[str]]:
        """Sets of children that import each other in a circle."""
        reached = {child: self._reachable(child) for child in self.children}
        found = {
            frozenset(other for other in reached[child] if child in reached[other]) | {child}
            for child in self.children
            if child in reached[child]
        }
        return sorted(found, key=sorted)

    @property
    def floors(self) -> int:
        """Length of the longest chain of imports; circles count once."""
        merged = {child: circle for circle in self.circles for child in circle}
        arrows = {
            (merged.get(a, frozenset({a})), merged.get(b, frozenset({b}))) for a, b in self.arrows
        }

        @functools.cache  # there are more chains than anyone can walk
        def height(node: frozenset[str]) -> int:
            return 1 + max((height(b) for a, b in arrows if a == node and b != node), default=0)

        nodes = {merged.get(child, frozenset({child})) for child in self.children}
        return max(map(height, nodes), default=0)

    def _reachable(self, child: str) -> set[str]:
        """Return the children that `child` imports, directly or through others."""
        reached: set[str] = set()
        open_nodes = [b for a, b in self.arrows if a == child]
        while open_nodes:
            node = open_nodes.pop()
            if node not in reached:
                reached.add(node)
                open_nodes += [b for a, b in self.arrows if a == node]
        return reached


def sources(root: Path) -> list[Path]:
    """Return the Python files of the three packages, sorted."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def functions(root: Path) -> list[Function]:
    """Return all functions of the three packages, nested ones and methods included.

    Released migrations are left out: nobody may change them.
    """
    found = []
    for path in sources(root):
        if path.parent.name == "versions":
            continue
        text = path.read_text(encoding="utf-8")
        module = path.relative_to(root).as_posix()
        found += [
            _measure(node, module, text.splitlines())
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return found


def _measure(
    node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, lines: list[str]
) -> Function:
    """Return the measures of one function."""
    last = node.end_lineno or node.lineno
    numbers = set(range(node.lineno, last + 1))
    docstring = ast.get_docstring(node)
    if docstring is not None:
        quoted = node.body[0]
        numbers -= set(range(quoted.lineno, (quoted.end_lineno or quoted.lineno) + 1))

    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return Function(
        module=module,
        name=node.name,
        first_line=None if docstring is None else docstring.partition("\n")[0],
        lines=last - node.lineno + 1,
        code_lines=len(numbers),
        blank_lines=sum(not lines[number - 1].strip() for number in numbers),
        imports=sum(isinstance(part, ast.Import | ast.ImportFrom) for part in ast.walk(node)),
        parameters=len([name for name in names if name not in ("self", "cls")]),
    )


def first_lines(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the first line of every docstring, of modules, classes and functions, with its file."""
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if documented and (docstring := ast.get_docstring(node)):
                yield path.relative_to(root).as_posix(), docstring.partition("\n")[0]


def is_riddle(first_line: str) -> bool:
    """Whether the first line of a docstring leans on a word that needs an explanation."""
    return bool(_RIDDLE.search(first_line))


def import_graph(root: Path, package: str) -> Graph:
    """Return the imports between the direct children of `package`."""
    graph = _build(root)
    children = graph.find_children(package)
    for child in children:
        if graph.find_children(child):
            graph.squash_module(child)
    arrows = {
        (a, b)
        for a, b in product(children, repeat=2)
        if a != b and graph.direct_import_exists(importer=a, imported=b)
    }
    return Graph(frozenset(children), frozenset(arrows))


def module_graph(root: Path) -> Graph:
    """Return the imports between all modules of the three packages."""
    graph = _build(root)
    arrows = {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    return Graph(frozenset(graph.modules), frozenset(arrows))


def _build(root: Path) -> grimp.ImportGraph:
    """Return grimp's graph of a checkout."""
    sys.path.insert(0, str(root))
    try:
        return grimp.build_graph(*PACKAGES, cache_dir=None)
    finally:
        sys.path.remove(str(root))


def main() -> None:
    """Print the measures of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parent.parent)
    root = parser.parse_args().root.resolve()

    console = Console()
    table = Table(title="Imports between the direct children of a package", title_justify="left")
    for column in ("package", "children", "arrows", "floors", "circles"):
        table.add_column(column, justify="left" if column == "package" else "right")
    for package in PACKAGES:
        graph = import_graph(root, package)
        numbers = (len(graph.children), len(graph.arrows), graph.floors, len(graph.circles))
        table.add_row(package, *map(str, numbers))
    modules = module_graph(root)
    numbers = (len(modules.children), len(modules.arrows), modules.floors, len(modules.circles))
    table.add_row("all modules", *map(str, numbers))
    console.print(table)

    table = Table(title="Source", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in _source_measures(root):
        table.add_row(name, value)
    console.print(table)


def _source_measures(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and value of each measure that is read from the source."""
    modules = [len(path.read_text(encoding="utf-8").splitlines()) for path in sources(root)]
    folders = [len(list(folder.glob("*.py"))) for folder in {path.parent for path in sources(root)}]
    yield "most modules in one folder", str(max(folders))
    yield "lines of a module, median and 90th percentile", _spread(modules)

    found = functions(root)
    long = [function for function in found if function.is_long]
    blank, code = sum(f.blank_lines for f in long), sum(f.code_lines for f in long)
    yield "functions", str(len(found))
    yield "lines of a function, median and 90th percentile", _spread([f.lines for f in found])
    yield "longest function", str(max(f.lines for f in found))
    yield "most parameters", str(max(f.parameters for f in found))
    yield f"blank lines per 10 in functions over {LONG_FUNCTION} lines", f"{10 * blank / code:.2f}"
    imports = sum(function.imports for function in found)
    yield "imports inside functions, per 100 functions", f"{100 * imports / len(found):.1f}"

    lines = [line for _, line in first_lines(root)]
    riddles = sum(map(is_riddle, lines))
    yield "first lines of docstrings that are riddles", f"{100 * riddles / len(lines):.1f} %"
    readme = (root / "README.md").read_text(encoding="utf-8").splitlines()
    yield "lines of README.md", str(len(readme))


def _spread(values: list[int]) -> str:
    """Return the median and the 90th percentile of some counts."""
    tenths = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):.0f}, {tenths[-1]:.0f}"


if __name__ == "__main__":
    main()
