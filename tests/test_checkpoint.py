"""Checkpoints: a trial that was trained is not trained again, and nothing depends on that."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import evaluators
from evaluators.retrieval import Options, checkpoint
from evaluators.retrieval import evaluator as module
from evaluators.retrieval.evaluator import RetrievalEvaluator

SUBSET = (0, 2, 5)
RESUMED = "trained before an interruption"

# a worker in a process of its own; "kill" as its last word makes it die before it scores
WORKER = """
import json, os, signal, sys
from pathlib import Path
import evaluators
from evaluators.retrieval import Options, checkpoint
from evaluators.retrieval import evaluator as module

folder, scratch, options, trainings, fate = sys.argv[1:]
checkpoint.CHECKPOINT_SECONDS = 0.0
real = module.finetune

def finetune(*args, **kwargs):
    with open(trainings, "a") as file:
        file.write("trained\\n")
    real(*args, **kwargs)

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

module.finetune = finetune
if fate == "kill":
    module.score = die
base = evaluators.BaseOptions(model="base", query_length=32, document_length=48)
context = evaluators.Context(base, Path(folder), "cpu", scratch=Path(scratch))
made = evaluators.load("retrieval").create(Options.model_validate_json(options), context)
outcome = made.evaluate((0, 2, 5), 7)
tasks = {name: [task.score, task.queries] for name, task in outcome.tasks.items()}
print(json.dumps([outcome.mean, tasks, outcome.seconds["train"], outcome.notes]))
"""


def recipe(**options: object) -> str:
    """Options of a quick trial, as JSON."""
    keys = {"steps": 3, "batch_size": 8, "train": {"data": "train.jsonl"}, "test": {"data": "test"}}
    return json.dumps(keys | options)


def build(
    toy: Path, scratch: Path | None, precision: str = "fp32", **options: object
) -> RetrievalEvaluator:
    """An evaluator that keeps checkpoints in `scratch`."""
    lengths = {"query_length": 32, "document_length": 48}
    base = evaluators.BaseOptions.model_validate(
        {"model": "base", "precision": precision} | lengths
    )
    context = evaluators.Context(base, toy, "cpu", scratch=scratch)
    made = evaluators.load("retrieval").create(
        Options.model_validate_json(recipe(**options)), context
    )
    assert isinstance(made, RetrievalEvaluator)
    return made


def kept(scratch: Path) -> list[Path]:
    """Everything that is in the folder of checkpoints."""
    return sorted((scratch / "checkpoints").glob("*"))


class Interruption(Exception):  # noqa: N818 - what Ctrl-C does
    """The worker was stopped between training and scoring."""


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all trainings; here even the shortest one is kept."""
    seeds: list[int] = []
    real = module.finetune

    def finetune(*args: object, **kwargs: object) -> None:
        seeds.append(kwargs["seed"])  # type: ignore[arg-type]
        real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "finetune", finetune)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    return seeds


def interrupt(evaluator: RetrievalEvaluator, seed: int = 0) -> None:
    """Evaluate until the model is trained."""

    def stop(*_: object) -> None:
        raise Interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "score", stop)
        with pytest.raises(Interruption):
            evaluator.evaluate(SUBSET, seed)


@pytest.fixture(scope="session")
def plain(toy: Path) -> RetrievalEvaluator:
    """The same recipe without checkpoints; copies of it share what it loaded."""
    return build(toy, None)


@pytest.fixture
def keeping(plain: RetrievalEvaluator, tmp_path: Path) -> RetrievalEvaluator:
    """An evaluator that keeps checkpoints in `tmp_path`."""
    folder = tmp_path / "checkpoints"
    return replace(plain, checkpoints=replace(plain.checkpoints, folder=folder))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_trial_scores_the_same_to_the_last_bit(
    precision: str, toy: Path, tmp_path: Path, trainings: list[int]
) -> None:
    expected = build(toy, None, precision).evaluate(SUBSET, 0)
    first = build(toy, tmp_path, precision)
    interrupt(first)
    found = build(toy, tmp_path, precision).evaluate(SUBSET, 0)
    assert (found.mean, found.tasks) == (expected.mean, expected.tasks)
    assert trainings == [0, 0]
    assert found.notes == (RESUMED,)
    assert found.versions == expected.versions == first.description.versions


def test_a_resumed_trial_reports_what_its_training_took(
    keeping: RetrievalEvaluator, trainings: list[int]
) -> None:
    model, _ = keeping.build((3, 4, 5))
    keeping.checkpoints.save((3, 4, 5), 0, model, 123.25, ("a note",))
    stages: list[tuple[str, int, int]] = []
    outcome = keeping.evaluate((3, 4, 5), 0, lambda *stage: stages.append(stage))
    assert outcome.seconds["train"] == 123.25
    assert outcome.notes == (
        "layer 3 comes first and loses attn_norm.weight",
        "a note",
        RESUMED,
    )
    assert ("train", 3, 3) in stages
    assert trainings == []


def test_a_killed_workers_trial_is_finished_by_another_process(toy: Path, tmp_path: Path) -> None:
    expected = build(toy, None).evaluate(SUBSET, 7)

    def work(fate: str) -> "subprocess.CompletedProcess[str]":
        words = [str(toy), str(tmp_path), recipe(), str(tmp_path / "trainings"), fate]
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", WORKER, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    killed = work("kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(kept(tmp_path)) == 1
    done = work("live")
    assert done.returncode == 0, done.stderr
    mean, tasks, seconds, notes = json.loads(done.stdout)
    assert mean == expected.mean
    assert tasks == {name: [task.score, task.queries] for name, task in expected.tasks.items()}
    assert seconds > 0
    assert notes == [RESUMED]
    assert (tmp_path / "trainings").read_text() == "trained\n"


def test_forget_removes_the_checkpoint_of_one_trial(
    keeping: RetrievalEvaluator, tmp_path: Path, trainings: list[int]
) -> None:
    assert isinstance(keeping, evaluators.Resumable)
    interrupt(keeping, 0)
    (zero,) = kept(tmp_path)
    (tmp_path / "checkpoints" / f".{zero.name}-killed").mkdir()
    interrupt(keeping, 1)
    keeping.forget(SUBSET, 0)
    keeping.forget(SUBSET, 0)
    (one,) = kept(tmp_path)
    assert one != zero
    keeping.forget(SUBSET, 1)
    assert kept(tmp_path) == []
    assert trainings == [0, 1]


def test_short_training_is_not_kept(
    keeping: RetrievalEvaluator,
    tmp_path: Path,
    trainings: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 30.0)
    interrupt(keeping)
    assert list(tmp_path.iterdir()) == []
    keeping.evaluate(SUBSET, 0)
    assert trainings == [0, 0]


def test_without_a_scratch_nothing_is_kept(
    plain: RetrievalEvaluator, trainings: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupt(plain)
    plain.forget(SUBSET, 0)
    assert plain.evaluate(SUBSET, 0).notes == ()
    assert trainings == [0, 0]
    assert list(tmp_path.iterdir()) == []


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
        patch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)  # nor does it clean up
        with pytest.raises(Killed):
            keeping.evaluate(SUBSET, 0)
    (half,) = kept(tmp_path)
    assert sorted(path.name for path in half.iterdir()) == ["model.safetensors", "trained.json"]
    assert keeping.evaluate(SUBSET, 0).notes == ()
    assert trainings == [0, 0]
    keeping.forget(SUBSET, 0)
    assert kept(tmp_path) == []


def flip(path: Path) -> None:
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
    outcome = keeping.evaluate(SUBSET, 0)
    assert trainings == [0, 0]
    assert outcome.notes == ()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.records[0].name == "layer-search"
    assert kept(tmp_path) == [place]
    again = keeping.evaluate(SUBSET, 0)
    assert again.tasks == outcome.tasks
    assert again.notes == (RESUMED,)


def test_weights_of_another_model_leave_the_model_as_it_is(
    keeping: RetrievalEvaluator, tmp_path: Path, trainings: list[int]
) -> None:
    keeping.checkpoints.save(SUBSET, 0, torch.nn.Linear(2, 2), 60.0, ())
    model, _ = keeping.build(SUBSET)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert keeping.checkpoints.load(SUBSET, 0, model) is None
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert kept(tmp_path) == []
    assert trainings == []


def test_shared_weights_are_kept(tmp_path: Path) -> None:
    model = torch.nn.ModuleDict({"one": torch.nn.Linear(3, 3), "other": torch.nn.Linear(3, 3)})
    model["other"].weight = model["one"].weight
    checkpoints = checkpoint.Checkpoints(tmp_path, "")
    checkpoints.save((0,), 0, model, 60.0, ())
    expected = model["one"].weight.clone()
    torch.nn.init.zeros_(model["one"].weight)
    assert checkpoints.load((0,), 0, model) is not None
    assert torch.equal(model["other"].weight, expected)


def test_only_the_same_trial_shares_a_checkpoint(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    first = build(toy, tmp_path)
    model, _ = first.build(SUBSET)
    first.checkpoints.save(SUBSET, 0, model, 60.0, ())

    def shared(evaluator: RetrievalEvaluator, subset: tuple[int, ...], seed: int) -> bool:
        cut, _ = evaluator.build(subset)
        return evaluator.checkpoints.load(subset, seed, cut) is not None

    assert shared(build(toy, tmp_path), SUBSET, 0)
    assert not shared(first, SUBSET, 1)
    assert not shared(first, (0, 2, 6), 0)
    assert not shared(build(toy, tmp_path, learning_rate=1e-3), SUBSET, 0)
    assert not shared(build(toy, tmp_path, "bf16"), SUBSET, 0)
    split = {"data": "train.jsonl", "split": "train[:64]"}
    assert not shared(build(toy, tmp_path, train=split), SUBSET, 0)
    real = module.version
    monkeypatch.setattr(module, "version", lambda name: real(name) + "1" * (name == "torch"))
    assert not shared(build(toy, tmp_path), SUBSET, 0)


def test_what_nobody_touched_for_a_week_is_removed(tmp_path: Path) -> None:
    folder, now = tmp_path / "checkpoints", time.time()
    for name, days in {"old": 7.1, ".old-half": 8, "new": 6.9, ".new-half": 0}.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").touch()
        os.utime(folder / name, (now - days * 86400,) * 2)
    checkpoint.Checkpoints.within(tmp_path, {})
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
    keeping = replace(plain, checkpoints=checkpoint.Checkpoints.within(scratch, {}))
    assert keeping.evaluate(SUBSET, 0).tasks == plain.evaluate(SUBSET, 0).tasks
    keeping.forget(SUBSET, 0)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("layer-search", logging.WARNING)
    assert record.getMessage().startswith(f"cannot keep what was trained in {scratch}/checkpoints:")
    assert kept(scratch) == []
    assert trainings == [0, 0]
