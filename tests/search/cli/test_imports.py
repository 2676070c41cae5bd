"""Light commands answer at once: they load no library that they do not need."""

import json
import subprocess
import sys

import pytest

MODELS = {"torch", "transformers", "sentence_transformers", "datasets"}
"""Libraries that only an evaluator needs."""
OPTIMIZERS = {"optuna", "scipy", "numpy", "alembic"}
"""Libraries that only samplers, the answer and the setup of a store need."""
LOADED = """
import json
import sys

from search.cli import main

loaded = {}
for words in json.loads(sys.argv[1]):
    sys.argv = ["layer-search", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
    loaded[" ".join(words)] = sorted(sys.modules)
print("\\n" + json.dumps(loaded))
"""
"""Runs command lines one after the other, and prints the modules that are loaded after each."""


def run_all(*lines: str) -> dict[str, set[str]]:
    """Return the modules that a fresh process has loaded after each of these command lines."""
    words = json.dumps([line.split() for line in lines])
    done = subprocess.run(
        [sys.executable, "-c", LOADED, words], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    return {line: set(loaded[line]) for line in lines}


@pytest.fixture(scope="module")
def after(launched: str) -> dict[str, set[str]]:
    """Modules that are loaded after each of the light commands, in this order."""
    store = f"--store {launched}"
    found = run_all(
        "--help",
        "space --layers 22 --depth 7",
        f"studies {store}",
        f"leaderboard {store}",
        f"trials card {store}",
    )
    return {line.removesuffix(store).strip(): modules for line, modules in found.items()}


@pytest.mark.slow
def test_help_imports_no_command(after: dict[str, set[str]]) -> None:
    modules = after["--help"]
    assert not [name for name in modules if name.startswith("search.cli.commands.")]
    assert not modules & (MODELS | OPTIMIZERS | {"pydantic", "sqlalchemy", "psycopg", "psutil"})

    packages = {name for name in modules if name.split(".")[0] in ("search", "storage")}
    assert packages == {
        "search",
        "search.cli",
        "search.cli.app",
        "search.cli.commands",
        "search.cli.output",
        "search.errors",
        "search.signals",
        "storage",
        "storage.errors",
        "storage.values",
        "storage.values.bounds",
        "storage.values.text",
    }


@pytest.mark.parametrize("line", ["studies", "leaderboard", "trials card"])
def test_reading_commands_load_neither_models_nor_optimizers(
    after: dict[str, set[str]], line: str
) -> None:
    assert "search.cli.commands.show" in after[line]
    assert not after[line] & (MODELS | OPTIMIZERS)


def test_a_space_is_counted_without_the_libraries_of_a_store(after: dict[str, set[str]]) -> None:
    loaded = after["space --layers 22 --depth 7"]
    assert "search.cli.commands.spaces" in loaded
    assert not loaded & {*MODELS, *OPTIMIZERS, "sqlalchemy", "numpy"}


@pytest.mark.slow
def test_commands_that_search_load_models_only_through_an_evaluator(launched: str) -> None:
    line = f"answer card --store {launched}"
    (modules,) = run_all(line).values()
    assert "scipy" in modules
    assert not modules & MODELS
