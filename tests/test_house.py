"""The house rules: who may import whom, how long a file may be, what a source may say."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("search", "evaluators", "storage")
HEAVY = {"torch", "transformers", "sentence_transformers", "datasets"}
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PRIVATE = re.compile(r"(?<![\w.:/}])/(home|Users|root|work|workspace|mnt|tmp)/\w")
TEXTS = sorted(
    path
    for folder in (*PACKAGES, "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".mako", ".sql", ".sh", ".md", ".csv"}
)


def relative(path: Path) -> str:
    """`path` as it stands in the repository."""
    return path.relative_to(ROOT).as_posix()


def test_import_contracts_hold() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {
        contract["id"]: contract for contract in config["tool"]["importlinter"]["contracts"]
    }
    assert contracts["house"]["layers"] == ["search", "evaluators | storage"]
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


COMMANDS = {
    "import alone": [],
    "space": ["space", "--layers", "22", "--depth", "4"],
    "studies": ["studies"],
    "leaderboard": ["leaderboard"],
    "leaderboard by task": ["leaderboard", "--by-task", "--json"],
    "help of launch": ["launch", "--help"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_commands_that_only_look_load_no_model_library(words: list[str], tmp_path: Path) -> None:
    """They answer at once. A new process each, because other tests have loaded everything."""
    store = f"sqlite:///{tmp_path}/store.db"
    code = (
        "import json, os, sys\n"
        "words, store = json.loads(sys.argv[1])\n"
        "from storage import setup\n"
        "setup.open_store(store, create=True).dispose()\n"
        "os.environ['LAYER_SEARCH_STORE'] = store\n"
        "import search.cli\n"
        "if words: search.cli.app(words, standalone_mode=False)\n"
        "print('loaded:', *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([words, store])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert {"search", "storage", "evaluators"} <= loaded
    assert loaded & HEAVY == set()


def test_naming_evaluators_loads_no_model_library(tmp_path: Path) -> None:
    """Checking a study file needs the options of an evaluator, and no more of it."""
    code = (
        "import sys, evaluators\n"
        "for name in evaluators.names(): evaluators.load(name).Options\n"
        "from pathlib import Path; from search import studyfile\n"
        "for path in Path(sys.argv[1]).glob('*.toml'): studyfile.read(path)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "examples")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {"search", "evaluators"} <= loaded
    assert loaded & HEAVY == set()


def test_there_are_sources() -> None:
    """Or the tests below would hold of nothing."""
    found = {relative(path) for path in SOURCES}
    assert {"search/space.py", "evaluators/table.py", "storage/schema.py"} <= found


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_packages_cannot_be_run_by_name() -> None:
    """`python -m storage` would run a stray `storage.py` of the working folder instead."""
    assert [path for path in SOURCES if path.name == "__main__.py"] == []


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_private_paths(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if PRIVATE.search(line)]
    assert found == []
    homes = {str(folder) for folder in (ROOT, Path.home()) if len(folder.parts) > 2}
    assert [home for home in homes if home in text] == []


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ('open("/ho' + 'me/ada/models")', True),
        ("# see /Us" + "ers/ada", True),
        ("/ro" + "ot/x", True),
        ("https://example.org/ho" + "me/page", False),
        ("../shared/work/data", False),
        ("f'{folder}/mnt/x'", False),
    ],
)
def test_what_a_private_path_is(text: str, *, private: bool) -> None:
    assert bool(PRIVATE.search(text)) == private
