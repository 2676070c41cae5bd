"""The folder of this machine for what must outlive a worker: its user's alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.queue import prepared_folder, private_folder, state_folder
from storage.queue.local_files import create_private


@pytest.fixture(autouse=True)
def _careless() -> Iterator[None]:
    """Let new files and folders be open to everybody unless they ask for less."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, which does not exist."""
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path / "own" / "state"))
    return tmp_path / "own" / "state"


def mode(path: Path) -> int:
    """Return who may do what with a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_user_alone(state: Path) -> None:
    assert private_folder("outbox", "a") == state_folder() / "outbox" / "a" == state / "outbox/a"
    assert [mode(path) for path in (state, state / "outbox", state / "outbox/a")] == [0o700] * 3
    assert private_folder("outbox", "a").is_dir()


def test_one_that_an_older_release_left_open_is_closed(state: Path) -> None:
    (state / "outbox").mkdir(parents=True)
    assert mode(state) == 0o777
    assert prepared_folder() == state
    assert mode(state) == 0o700
    private_folder("outbox")
    assert mode(state / "outbox") == 0o700


def test_a_folder_of_everybody_stays_as_it_is(state: Path) -> None:
    state.mkdir(parents=True)
    state.chmod(0o1777)
    private_folder("outbox")
    assert (mode(state), mode(state / "outbox")) == (0o1777, 0o700)


def test_a_folder_of_somebody_else_stays_as_it_is(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert private_folder() == state
    assert mode(state) == 0o777


def test_a_file_system_without_rights_keeps_results(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    state.mkdir(parents=True)
    monkeypatch.setattr(Path, "chmod", refuse)
    assert private_folder("outbox").is_dir()


def test_a_folder_that_cannot_be_made_is_named_all_the_same(state: Path) -> None:
    state.parent.mkdir()
    state.touch()
    with pytest.raises(FileExistsError):
        private_folder()
    assert prepared_folder() == state


def test_a_file_is_for_its_user_alone(tmp_path: Path) -> None:
    for text in ("longer", "new"):
        with create_private(tmp_path / "a") as file:
            file.write(text)
    assert (mode(tmp_path / "a"), (tmp_path / "a").read_text()) == (0o600, "new")
