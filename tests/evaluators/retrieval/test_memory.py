"""Out of memory: a trial goes on in smaller batches, down to the smallest, and then fails."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

import evaluators
from evaluators.retrieval import device, finetune, scoring
from evaluators.retrieval.evaluator import RetrievalEvaluator

pytestmark = pytest.mark.slow

SUBSET = (0, 2, 5)


class Scarce:
    """A function that runs out of memory whenever a batch is larger than it can hold.

    Args:
        real: the function.
        limit: the largest batch.
        size: reads the size of the batch from the arguments; None is as large as it gets.
    """

    def __init__(
        self, real: Callable[..., object], limit: int, size: Callable[..., int | None]
    ) -> None:
        self.real, self.limit, self.size = real, limit, size
        self.seen: list[int | None] = []

    def __call__(self, *arguments: object) -> object:
        """Do the real thing if its batch is small enough."""
        asked = self.size(*arguments)
        self.seen.append(asked)
        if asked is None or asked > self.limit:
            message = "CUDA out of memory. Tried to allocate 9 GiB"
            raise torch.OutOfMemoryError(message)
        return self.real(*arguments)


def micro_batch(_model: object, _pairs: object, _options: object, run: finetune.Run) -> int | None:
    """Size of a batch in training."""
    return run.micro_batch


def batch_size(_model: object, _collection: object, size: int) -> int:
    """Size of a batch in scoring."""
    return size


def test_training_out_of_memory_tries_smaller_micro_batches(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce = Scarce(finetune.train, 4, micro_batch)
    monkeypatch.setattr(finetune, "train", scarce)

    evaluation = trained.evaluate(SUBSET, 0)

    assert scarce.seen == [None, 8, 4]
    assert evaluation.notes == ("out of memory: trained in micro-batches of 4",)


def test_scoring_out_of_memory_tries_smaller_batches(
    untrained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = untrained.evaluate(SUBSET, 0)
    scarce = Scarce(scoring.score, 16, batch_size)
    monkeypatch.setattr(scoring, "score", scarce)

    found = untrained.evaluate(SUBSET, 0)

    assert scarce.seen == [64, 32, 16] * 3
    assert found.mean == pytest.approx(expected.mean, abs=1e-6)


@pytest.mark.parametrize(
    ("module", "function", "size"),
    [(finetune, "train", micro_batch), (scoring, "score", batch_size)],
    ids=["training", "scoring"],
)
def test_out_of_memory_to_the_end_fails_the_trial(
    module: ModuleType,
    function: str,
    size: Callable[..., int | None],
    trained: RetrievalEvaluator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, function, Scarce(getattr(module, function), 0, size))

    with pytest.raises(evaluators.TrialFailure, match=r"^out of memory: CUDA out of memory"):
        trained.evaluate(SUBSET, 0)


def test_out_of_memory_without_a_message_fails_the_trial(
    untrained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(scoring, "score", scarce)

    with pytest.raises(evaluators.TrialFailure, match=r"^out of memory: MemoryError$"):
        untrained.evaluate(SUBSET, 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("device-side assert"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_running_out_of_memory_is(error: Exception, *, expected: bool) -> None:
    assert device.is_out_of_memory(error) is expected
