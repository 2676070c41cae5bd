"""The structure of the code: layers, sizes, air, first lines of docstrings."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import structure

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = structure.PACKAGES
HEAVY = {"torch", "transformers", "sentence_transformers", "datasets"}

MODULES = structure.sources(ROOT)
FUNCTIONS = structure.functions(ROOT)
MANY_OPTIONS = {"search/cli/commands/show.py:leaderboard", "search/cli/commands/spaces.py:space"}
"""Commands with more options than a function should have parameters."""


def name_of(function: structure.Function) -> str:
    """The place of a function, for messages."""
    return f"{function.module}:{function.name}"


def test_there_is_something_to_measure() -> None:
    """Or the tests below would hold of nothing."""
    names = {path.relative_to(ROOT).as_posix() for path in MODULES}

    assert {"search/space/layer_space.py", "evaluators/table.py", "storage/schema.py"} <= names
    assert len(FUNCTIONS) > 500


def test_import_contracts_hold() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {
        contract["id"]: contract for contract in config["tool"]["importlinter"]["contracts"]
    }

    assert contracts["packages"]["layers"] == ["search", "evaluators | storage"]
    for package in PACKAGES:
        assert contracts[package]["containers"] == [package]
        assert contracts[package]["exhaustive"] is True
    for package in ("storage", "search"):
        contract = contracts[f"{package}-is-light"]
        assert contract["source_modules"] == [package]
        assert set(contract["forbidden_modules"]) >= HEAVY

    command = "import sys; from importlinter.cli import lint_imports; "
    done = subprocess.run(
        [sys.executable, "-c", command + "sys.exit(lint_imports(no_cache=True))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_runs_in_a_circle(package: str) -> None:
    graph = structure.import_graph(ROOT, package)

    assert len(graph.arrows) > 5
    assert graph.circles == []


def test_no_module_imports_itself_through_others() -> None:
    graph = structure.module_graph(ROOT)

    assert len(graph.arrows) > 300
    assert graph.circles == []


def test_the_way_of_one_trial_knows_little_of_the_store() -> None:
    arrows = structure.module_graph(ROOT).arrows
    imported = {to for of, to in arrows if of == "search.worker.loop"}

    assert {name for name in imported if name.startswith("storage")} == {
        "storage.errors",
        "storage.queue",
        "storage.states",
    }


def test_circles_and_floors_of_a_graph() -> None:
    arrows = frozenset({("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")})
    graph = structure.Graph(frozenset("abcde"), arrows)

    assert graph.circles == [frozenset("bc")]
    assert graph.floors == 3  # a, then b and c, then d


def test_folders_hold_at_most_twelve_modules() -> None:
    folders = {path.parent for path in MODULES}
    sizes = {
        folder.relative_to(ROOT).as_posix(): len(list(folder.glob("*.py"))) for folder in folders
    }

    assert {folder: size for folder, size in sizes.items() if size > 12} == {}


def test_files_are_short() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (*PACKAGES, "tests", "benchmarks", "docs", "examples")
        for path in (ROOT / folder).rglob("*.py")
    }

    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_functions_are_short_and_take_few_parameters() -> None:
    assert [name_of(f) for f in FUNCTIONS if f.lines > 50] == []
    assert {name_of(f) for f in FUNCTIONS if f.parameters > 7} == MANY_OPTIONS


def test_long_functions_have_paragraphs() -> None:
    long = [function for function in FUNCTIONS if function.is_long]
    blank = sum(function.blank_lines for function in long)
    code = sum(function.code_lines for function in long)

    assert 10 * blank / code >= 0.7  # blank lines per 10
    dense = [f for f in FUNCTIONS if f.code_lines > 15 and f.blank_lines == 0]
    assert [name_of(function) for function in dense] == []


def test_imports_inside_functions_are_rare() -> None:
    """Each has its reason: the start of a command must not wait for the library."""
    inside = {name_of(function): function.imports for function in FUNCTIONS if function.imports}

    assert inside == {
        "evaluators/_toy/__init__.py:prepare": 1,
        "evaluators/retrieval/__init__.py:create": 1,
        "search/analysis/comparison.py:_interval": 1,
        "search/analysis/screen_fit.py:_interval": 1,
        "search/analysis/screen_fit.py:spearman_correlation": 1,
        "search/cli/app.py:_explain": 1,
        "storage/setup.py:make_ready": 1,
    }


def test_first_lines_of_docstrings_stand_alone() -> None:
    lines = list(structure.first_lines(ROOT))
    riddles = [place for place in lines if structure.is_riddle(place[1])]

    assert len(lines) > 500
    assert len(riddles) <= 0.02 * len(lines), riddles


@pytest.mark.parametrize(
    ("line", "riddle"),
    [
        ("Return the untried subset with the largest expected improvement.", False),
        ("What is tried next.", True),
        ("Of some, those that fit.", True),
        ("Whether a row belongs to the others.", True),
        ("Another worker's claim.", False),
    ],
)
def test_lines_that_lean_on_a_riddle(line: str, *, riddle: bool) -> None:
    assert structure.is_riddle(line) == riddle


@pytest.mark.slow
def test_the_measures_are_printed() -> None:
    script = ROOT / "benchmarks" / "structure.py"
    done = subprocess.run(
        [sys.executable, script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    for words in ("circles", "blank lines per 10", "riddles", "lines of README.md"):
        assert words in done.stdout


def test_the_picture_of_the_layers_is_fresh() -> None:
    script = ROOT / "docs" / "draw_architecture.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
