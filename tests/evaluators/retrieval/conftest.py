"""Fixtures for tests of checkpoints."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluators.retrieval import checkpoint, finetune
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import checkpoints, retrieval


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all trainings; here even the shortest one is kept."""
    seeds: list[int] = []
    real = finetune.train

    def train(model: object, pairs: object, options: object, run: finetune.Run) -> None:
        seeds.append(run.seed)
        real(model, pairs, options, run)  # type: ignore[arg-type]

    monkeypatch.setattr(finetune, "train", train)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    return seeds


@pytest.fixture(scope="session")
def plain(small_toy: Path) -> RetrievalEvaluator:
    """An evaluator without checkpoints; copies of it share everything it loaded."""
    return retrieval.build(small_toy, checkpoints.QUICK)


@pytest.fixture
def keeping(plain: RetrievalEvaluator, tmp_path: Path) -> RetrievalEvaluator:
    """The same, but it keeps checkpoints in `tmp_path`."""
    folder = tmp_path / "checkpoints"
    return replace(plain, checkpoints=replace(plain.checkpoints, folder=folder))
