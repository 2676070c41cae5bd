"""Files of a checkpoint: written in full or not seen, and never a reason for a trial to fail."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluators.retrieval import checkpoint
from evaluators.retrieval.checkpoint import Checkpoints, Training
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support.checkpoints import RESUMED, SUBSET, interrupt, kept

pytestmark = pytest.mark.slow

A_MINUTE = Training(seconds=60.0, notes=())


def test_what_is_half_written_is_not_seen(
    keeping: RetrievalEvaluator,
    tmp_path: Path,
    trainings: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        """The process ends while the last file is on its way to the disk."""

    def die(_: Path) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_sync", die)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nor does it clean up
        with pytest.raises(Killed):
            keeping.evaluate(SUBSET, 0)
    (half,) = kept(tmp_path)
    assert sorted(path.name for path in half.iterdir()) == ["model.safetensors", "trained.json"]

    assert keeping.evaluate(SUBSET, 0).notes == ()
    assert trainings == [0, 0]

    keeping.forget(SUBSET, 0)
    assert kept(tmp_path) == []


def flip(path: Path) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("model.safetensors", flip),
        ("model.safetensors", lambda path: os.truncate(path, 100)),
        ("model.safetensors", Path.unlink),
        ("trained.json", lambda path: path.write_text("{")),
        ("trained.json", lambda path: path.write_text("{}")),
        ("trained.json", Path.unlink),
    ],
    ids=["flipped", "truncated", "no weights", "no JSON", "no keys", "no record"],
)
def test_a_corrupt_checkpoint_is_replaced(
    name: str,
    spoil: Callable[[Path], object],
    keeping: RetrievalEvaluator,
    tmp_path: Path,
    trainings: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupt(keeping)
    (place,) = kept(tmp_path)
    spoil(place / name)

    evaluation = keeping.evaluate(SUBSET, 0)

    assert trainings == [0, 0]
    assert evaluation.notes == ()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.records[0].name == "layer-search"
    assert kept(tmp_path) == [place]

    again = keeping.evaluate(SUBSET, 0)
    assert again.tasks == evaluation.tasks
    assert again.notes == (RESUMED,)


def test_weights_of_another_model_leave_the_model_as_it_is(
    keeping: RetrievalEvaluator, tmp_path: Path, trainings: list[int]
) -> None:
    keeping.checkpoints.save(SUBSET, 0, torch.nn.Linear(2, 2), A_MINUTE)
    model, _ = keeping.base.cut(SUBSET)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    assert keeping.checkpoints.load(SUBSET, 0, model) is None

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert kept(tmp_path) == []
    assert trainings == []


def test_shared_weights_are_kept(tmp_path: Path) -> None:
    one, other = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    other.weight = one.weight
    model = torch.nn.ModuleDict({"one": one, "other": other})
    checkpoints = Checkpoints(tmp_path, "")

    checkpoints.save((0,), 0, model, A_MINUTE)
    expected = one.weight.clone()
    torch.nn.init.zeros_(one.weight)

    assert checkpoints.load((0,), 0, model) is not None
    assert torch.equal(other.weight, expected)

    (folder,) = tmp_path.iterdir()  # and they are for this user alone
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600, 0o600]


def test_what_nobody_touched_for_a_week_is_removed(tmp_path: Path) -> None:
    folder, now = tmp_path / "checkpoints", time.time()
    for name, days in {"old": 7.1, ".old-half": 8, "new": 6.9, ".new-half": 0}.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").touch()
        os.utime(folder / name, (now - days * 86400,) * 2)

    Checkpoints.open(tmp_path, {})

    assert [path.name for path in kept(tmp_path)] == [".new-half", "new"]


@pytest.mark.parametrize("trouble", ["no folder", "disk full", "disk full at the weights"])
def test_a_scratch_that_cannot_be_written_costs_a_warning(
    trouble: str,
    plain: RetrievalEvaluator,
    tmp_path: Path,
    trainings: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    scratch = tmp_path / "scratch"
    if trouble == "no folder":
        scratch.write_text("a file stands here")
    elif trouble == "disk full":
        monkeypatch.setattr(checkpoint, "_sync", full)
    else:
        monkeypatch.setattr(checkpoint, "save_file", full)
    keeping = replace(plain, checkpoints=Checkpoints.open(scratch, {}))

    assert keeping.evaluate(SUBSET, 0).tasks == plain.evaluate(SUBSET, 0).tasks
    keeping.forget(SUBSET, 0)

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("layer-search", logging.WARNING)
    assert record.getMessage().startswith(f"cannot keep what was trained in {scratch}/checkpoints:")
    assert kept(scratch) == []
    assert trainings == [0, 0]
