"""Trials that are interrupted after their training, and what they left."""

from pathlib import Path

import pytest

from evaluators.retrieval import scoring
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support.retrieval import Keys

SUBSET = (0, 2, 5)
RESUMED = "trained before an interruption"
QUICK: Keys = {"steps": 3, "batch_size": 8, "train": {"data": "train.jsonl"}}
"""Keys of `[evaluator]` for a quick trial with training."""


class Interruption(Exception):  # noqa: N818 - what Ctrl-C does
    """The worker was stopped between training and scoring."""


def interrupt(evaluator: RetrievalEvaluator, seed: int = 0) -> None:
    """Evaluate until the model is trained."""

    def stop(*_: object) -> None:
        raise Interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "score", stop)
        with pytest.raises(Interruption):
            evaluator.evaluate(SUBSET, seed)


def kept(scratch: Path) -> list[Path]:
    """Everything that is in the folder of checkpoints."""
    return sorted((scratch / "checkpoints").glob("*"))
