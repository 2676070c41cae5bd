"""Resumed trials: a trial that was trained is not trained again, and scores the same."""

import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import evaluators
from evaluators.retrieval import checkpoint
from evaluators.retrieval import evaluator as module
from evaluators.retrieval.checkpoint import Training
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import retrieval
from tests.support.checkpoints import QUICK, RESUMED, SUBSET, interrupt, kept

pytestmark = pytest.mark.slow

# a worker in a process of its own, which dies before it scores
WORKER = """
import os, signal, sys
from pathlib import Path
import evaluators
from evaluators.retrieval import Options, checkpoint, scoring

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

scoring.score = die
checkpoint.CHECKPOINT_SECONDS = 0.0
folder, scratch, options = sys.argv[1:]
base = evaluators.BaseOptions(model="base", query_length=32, document_length=48)
context = evaluators.Context(base, Path(folder), "cpu", scratch=Path(scratch))
Options.model_validate_json(options).create(context).evaluate((0, 2, 5), 7)
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_trial_scores_the_same_to_the_last_bit(
    precision: str, small_toy: Path, tmp_path: Path, trainings: list[int]
) -> None:
    expected = retrieval.build(small_toy, QUICK, precision=precision).evaluate(SUBSET, 0)
    first = retrieval.build(small_toy, QUICK, precision=precision, scratch=tmp_path)
    interrupt(first)

    again = retrieval.build(small_toy, QUICK, precision=precision, scratch=tmp_path)
    found = again.evaluate(SUBSET, 0)

    assert (found.mean, found.tasks) == (expected.mean, expected.tasks)
    assert trainings == [0, 0]
    assert found.notes == (RESUMED,)
    assert found.versions == expected.versions == first.description.versions


def test_a_resumed_trial_reports_what_its_training_took(
    keeping: RetrievalEvaluator, trainings: list[int]
) -> None:
    model, _ = keeping.base.cut((3, 4, 5))
    training = Training(seconds=123.25, notes=("a note",))
    keeping.checkpoints.save((3, 4, 5), 0, model, training)
    stages: list[tuple[str, int, int]] = []

    evaluation = keeping.evaluate((3, 4, 5), 0, lambda *stage: stages.append(stage))

    assert evaluation.seconds["train"] == 123.25
    assert evaluation.notes == (
        "layer 3 comes first and loses attn_norm.weight",
        "a note",
        RESUMED,
    )
    assert ("train", 3, 3) in stages
    assert trainings == []


def test_a_killed_workers_trial_is_finished_by_another_process(
    plain: RetrievalEvaluator, small_toy: Path, tmp_path: Path, trainings: list[int]
) -> None:
    expected = plain.evaluate(SUBSET, 7)
    options = retrieval.options_json(QUICK)

    killed = subprocess.run(
        [sys.executable, "-W", "error", "-c", WORKER, str(small_toy), str(tmp_path), options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(kept(tmp_path)) == 1

    found = retrieval.build(small_toy, QUICK, scratch=tmp_path).evaluate(SUBSET, 7)
    assert (found.mean, found.tasks) == (expected.mean, expected.tasks)
    assert found.seconds["train"] > 0
    assert found.notes == (RESUMED,)
    assert trainings == [7]  # for the score to expect


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


def test_only_the_same_trial_shares_a_checkpoint(
    small_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)

    def build(precision: str = "fp32", **changes: object) -> RetrievalEvaluator:
        keys = {**QUICK, **changes}
        return retrieval.build(small_toy, keys, precision=precision, scratch=tmp_path)

    def shared(evaluator: RetrievalEvaluator, subset: tuple[int, ...], seed: int) -> bool:
        cut, _ = evaluator.base.cut(subset)
        return evaluator.checkpoints.load(subset, seed, cut) is not None

    first = build()
    model, _ = first.base.cut(SUBSET)
    first.checkpoints.save(SUBSET, 0, model, Training(seconds=60.0, notes=()))

    assert shared(build(), SUBSET, 0)
    assert not shared(first, SUBSET, 1)
    assert not shared(first, (0, 2, 6), 0)
    assert not shared(build(learning_rate=1e-3), SUBSET, 0)
    assert not shared(build("bf16"), SUBSET, 0)
    split = {"data": "train.jsonl", "split": "train[:64]"}
    assert not shared(build(train=split), SUBSET, 0)

    def newer_torch(name: str) -> str:
        return version(name) + "1" * (name == "torch")

    monkeypatch.setattr(module, "version", newer_torch)
    assert not shared(build(), SUBSET, 0)


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
