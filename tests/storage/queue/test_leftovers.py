"""Files that this machine keeps of results: listed with their study, and cleaned up."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.errors import StorageError
from storage.queue import Outbox, Result, list_kept, remove_kept
from storage.studies import StudyRecord, delete_study
from tests.support.stores import Workers, new_trial

TRIAL = new_trial((0, 1))


@pytest.fixture
def outbox(study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """The outbox of `study`, on a machine of its own."""
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path / "state"))
    return Outbox(study.uid, study.id)


@pytest.fixture
def path(worker: Workers, outbox: Outbox) -> Path:
    """The one result that waits in it."""
    kept = outbox.keep(worker().claim(TRIAL), Result(0.5))
    assert kept is not None
    return kept


def test_machine_that_keeps_nothing_has_no_folder(engine: Engine, outbox: Outbox) -> None:
    assert list_kept(engine) == []
    outbox.folder.parent.mkdir(parents=True)
    (outbox.folder.parent / "notes").touch()
    assert list_kept(engine) == []


def test_files_are_listed_with_study_state_and_reason(engine: Engine, path: Path) -> None:
    whole, broken = path.with_suffix(".refused"), path.with_name("2-1.refused")
    whole.write_bytes(path.read_bytes())
    broken.write_text("{")
    path.with_suffix(".7.tmp").touch()
    path.with_suffix(".txt").touch()  # somebody else's

    found = {file.path: file for file in list_kept(engine)}
    states = {Path(name).name: file.state for name, file in found.items()}
    assert states == {
        path.name: "waiting",
        whole.name: "refused",
        broken.name: "refused",
        path.with_suffix(".7.tmp").name: "unfinished",
    }
    assert {file.study for file in found.values()} == {"s"}
    assert found[str(path)].bytes == path.stat().st_size
    assert found[str(whole)].reason is None
    assert str(found[str(broken)].reason).startswith("the file: Invalid JSON")
    assert not any(file.is_useless for file in found.values())


def test_nothing_can_come_of_old_halves_and_of_studies_that_are_gone(
    engine: Engine, path: Path
) -> None:
    half = path.with_suffix(".7.tmp")
    half.touch()
    os.utime(half, (time.time() - 7200,) * 2)
    assert [file.path for file in list_kept(engine) if file.is_useless] == [str(half)]

    delete_study(engine, "s")
    files = list_kept(engine)
    assert [file.study for file in files] == [None, None]
    assert all(file.is_useless for file in files)
    remove_kept(files)
    assert not path.parent.exists()
    assert list_kept(engine) == []


def test_folder_that_cannot_be_read_or_changed_is_named(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    files = list_kept(engine)
    monkeypatch.setattr(Path, "unlink", deny)
    with pytest.raises(StorageError, match=f"cannot remove {path}: Permission denied"):
        remove_kept(files)
    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(StorageError, match=r"cannot list the results kept in .*: Permission"):
        list_kept(engine)
