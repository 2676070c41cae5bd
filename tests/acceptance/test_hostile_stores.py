"""Stores of strangers: whatever they hold, no command obeys it, and none breaks on it."""

import shlex
import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

import evaluators
from search.cli.app import _COMMANDS
from storage.queue import state_folder
from tests.support.commands import read_error, run_command
from tests.support.hostile import (
    HOSTILE,
    assert_harmless,
    copy_store,
    make_good,
    spoil_file,
    spoil_keys,
    spoil_names,
    spoil_texts,
)

READING = (
    "studies",
    "studies --json",
    "leaderboard",
    "leaderboard --csv",
    "leaderboard STUDY",
    "leaderboard STUDY --by-task",
    "leaderboard STUDY --by-set",
    "leaderboard STUDY --json",
    "best",
    "best STUDY --csv",
    "depths STUDY",
    "depths STUDY --csv",
    "depths STUDY --json",
    "depths STUDY --measure",
    "trials STUDY",
    "trials STUDY --csv",
    "trials STUDY --json",
    "trials STUDY --attempts",
    "trials STUDY --attempts --csv",
    "answer STUDY",
    "answer STUDY --json",
    "compare STUDY 0_1_2_18 0_1_2_21",
    "compare STUDY 0_1_2_18 0_1_2_21 --json",
    "screen study.toml --show",
    "screen study.toml --show --json",
    "export STUDY models --depth 4",
    "outbox",
    "outbox --json",
)
"""Commands that read a store."""
WRITING = (
    "init",
    "work",
    "work STUDY",
    "launch study.toml",
    "screen study.toml",
    "evaluate study.toml 0_1_2_18",
    "evaluate study.toml 0_1_2_20",
    "replicate STUDY",
    "release gpu-7 --study STUDY",
    "delete STUDY",
    "delete STUDY --yes",
)
"""Commands that change one."""
SPOILERS: Mapping[str, tuple[Callable[[Path], None], Collection[str]]] = {
    "texts": (spoil_texts, (*READING, *WRITING)),
    "file": (
        spoil_file,
        (
            "depths STUDY --measure",
            "compare STUDY 0_1_2_18 0_1_2_21",
            "screen study.toml --show",
            "export STUDY models --depth 4",
            "work",
            "launch study.toml",
            "evaluate study.toml 0_1_2_18",
            "replicate STUDY",
        ),
    ),
    "names": (
        spoil_names,
        (
            *(line for line in (*READING, *WRITING) if "STUDY" not in line),
            "trials STUDY",
            "delete STUDY --yes",
        ),
    ),
    "keys": (
        spoil_keys,
        (
            "leaderboard STUDY --by-task",
            "best --csv",
            "depths STUDY",
            "trials STUDY",
            "trials STUDY --attempts",
            "answer STUDY",
            "screen study.toml --show",
            "export STUDY models --depth 4",
            "work",
            "replicate STUDY",
        ),
    ),
}
"""By the part of a store that a stranger wrote: how, and the commands that read it."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Paths of stores of which another part each was written by a stranger."""
    good = tmp_path_factory.mktemp("good")
    make_good(good)

    found = {}
    for part, (spoil, _) in SPOILERS.items():
        folder = tmp_path_factory.mktemp(part)
        copy_store(good / "store.db", folder)
        spoil(folder / "store.db")
        found[part] = folder / "store.db"
    return found


def test_every_command_that_knows_a_store_is_tried() -> None:
    tried = {line.split()[0] for line in (*READING, *WRITING)}
    assert tried == {*_COMMANDS} - {"space", "quickstart"}


@pytest.mark.parametrize(
    ("part", "line"), [(part, line) for part, (_, lines) in SPOILERS.items() for line in lines]
)
def test_no_command_obeys_a_store(
    part: str, line: str, hostile: Mapping[str, Path], tmp_path: Path
) -> None:
    store = hostile[part]
    if line not in READING:
        copy_store(store, tmp_path)
        store = tmp_path / store.name

    study = HOSTILE if part == "names" else "good"
    words = [study if word == "STUDY" else word for word in shlex.split(line)]
    done = run_command(*words, cwd=store.parent, LAYER_SEARCH_STORE="sqlite:///store.db")

    assert_harmless(done)


# paths


def change(path: Path, column: str, value: str) -> None:
    """Write a value of a stranger's into the one study of a store."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE search_studies SET {column} = ?", (value,))  # noqa: S608
    connection.close()


@pytest.fixture
def store(hostile: Mapping[str, Path], tmp_path: Path) -> Path:
    """Path of a store whose texts are hostile, in a folder of its own."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    copy_store(hostile["texts"], folder)
    return folder / "store.db"


@pytest.mark.parametrize("line", ["work", "work good", "launch study.toml", "delete good --yes"])
def test_the_uid_of_a_study_leads_nowhere_else(line: str, store: Path) -> None:
    victim = state_folder() / "victim"
    victim.mkdir(parents=True, exist_ok=True)
    (victim / "1.json").write_text("mine")
    (state_folder() / "outbox").mkdir(exist_ok=True)  # or `..` would lead nowhere
    change(store, "uid", "../victim")

    done = run_command(
        *shlex.split(line), cwd=store.parent, LAYER_SEARCH_STORE="sqlite:///store.db"
    )

    assert "uid should be 32 hexadecimal digits, and is '../victim'" in read_error(done)
    assert done.returncode == 1
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("1.json", "mine")]


class Exporting:
    """An evaluator that writes an empty file for a model."""

    hidden_size = 384
    description = evaluators.Description("toy", 22, 3)

    def export(self, subset: tuple[int, ...], folder: Path, card: str) -> Path:
        """Write the card."""
        del subset
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(card)
        return folder


@pytest.mark.parametrize(
    "base", ["../../victim", "{folder}/victim", "a/../../victim", 'a"); evil("']
)
def test_the_base_of_a_study_names_no_other_folder(
    base: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(store, "base", base.format(folder=store.parent))
    monkeypatch.setattr("search.cli.commands.models.load_evaluator", lambda *_, **__: Exporting())
    monkeypatch.setattr("search.cli.commands.models.require_same_machine", lambda *_: None)
    before = {*store.parent.parent.rglob("*")}

    words = ("export", "good", "models", "--depth", "4", "--store", "sqlite:///store.db")
    done = run_command(*words, cwd=store.parent)

    assert {*store.parent.parent.rglob("*")} == before
    assert "good' holds something that layer-search never writes: base should" in read_error(done)
