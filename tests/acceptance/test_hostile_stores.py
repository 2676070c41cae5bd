"""Stores of strangers: whatever they hold, no command obeys it, and none breaks on it."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from search.cli.app import _COMMANDS
from storage.queue import state_folder
from tests.support.commands import read_error, run_command
from tests.support.hostile import (
    HOSTILE,
    assert_harmless,
    copy_store,
    make_good,
    spoil_file,
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
SPOILERS: Mapping[str, Callable[[Path], None]] = {
    "texts": spoil_texts,
    "file": spoil_file,
    "names": spoil_names,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Paths of stores of which another part each was written by a stranger."""
    good = tmp_path_factory.mktemp("good")
    make_good(good)

    found = {}
    for name, spoil in SPOILERS.items():
        folder = tmp_path_factory.mktemp(name)
        copy_store(good / "store.db", folder)
        spoil(folder / "store.db")
        found[name] = folder / "store.db"
    return found


def test_every_command_that_knows_a_store_is_tried() -> None:
    tried = {line.split()[0] for line in (*READING, *WRITING)}
    assert tried == {*_COMMANDS} - {"space", "quickstart"}


@pytest.mark.parametrize("line", [*READING, *WRITING])
def test_no_command_obeys_a_store(
    line: str, hostile: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, store in hostile.items():
        folder = store.parent
        if line in WRITING:
            folder = tmp_path / name
            folder.mkdir()
            copy_store(store, folder)

        study = HOSTILE if name == "names" else "good"
        words = [study if word == "STUDY" else word for word in shlex.split(line)]
        done = run_command(*words, cwd=folder, LAYER_SEARCH_STORE="sqlite:///store.db")
        assert_harmless(done)
