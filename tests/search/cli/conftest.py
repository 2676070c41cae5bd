"""Stores that commands are run on, in this process."""

from pathlib import Path

import pytest

from tests.support.commands import Done, run_command
from tests.support.replays import FIRST, card_keys, write_replay


@pytest.fixture(scope="session")
def launch_of_card(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Done]:
    """URL of a store in which the whole card was replayed by `launch`, and its output."""
    folder = tmp_path_factory.mktemp("launched")
    study = write_replay(folder, "card", {4: 5, 7: 11, 13: 10}, card_keys()[1:])
    store = f"sqlite:///{folder}/store.db"
    return store, run_command("launch", study, "--store", store)


@pytest.fixture(scope="session")
def launched(launch_of_card: tuple[str, Done]) -> str:
    """URL of a store in which the whole card was replayed, to be read only."""
    return launch_of_card[0]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A study file of 4 trials at depths 4 and 22."""
    return write_replay(tmp_path, "small", {4: 3, 22: 1}, FIRST)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path}/store.db"
