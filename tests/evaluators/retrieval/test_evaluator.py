"""A trial of the evaluator `retrieval`: deterministic, told in full, and failing with a reason."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import evaluators
from evaluators.retrieval import finetune
from evaluators.retrieval.base import loaded
from evaluators.retrieval.data import folders, library, pairs
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.scoring import score
from tests.support import retrieval

pytestmark = pytest.mark.slow

SUBSET = (0, 2, 5)


def test_prompts_reach_queries_and_documents(
    untrained: RetrievalEvaluator, small_toy: Path
) -> None:
    prompts = {"query_prompt": "again", "document_prompt": "the day"}
    prompted = retrieval.build(small_toy, settings=prompts)
    model, _ = untrained.base.cut(SUBSET)
    collection = prompted.collections[0]
    by_hand = replace(
        collection,
        queries={name: "again" + text for name, text in collection.queries.items()},
        corpus={name: "the day" + text for name, text in collection.corpus.items()},
    )

    expected = score(model, by_hand, 64)
    found = prompted.evaluate(SUBSET, 0).tasks[collection.task]

    assert found == expected
    assert found != untrained.evaluate(SUBSET, 0).tasks[collection.task]


def test_without_steps_the_cut_model_is_scored_as_it_is(untrained: RetrievalEvaluator) -> None:
    model, _ = untrained.base.cut(SUBSET)

    evaluation = untrained.evaluate(SUBSET, 0)

    for collection in untrained.collections:
        assert evaluation.tasks[collection.task] == score(model, collection, 64)
    assert evaluation == replace(untrained.evaluate(SUBSET, 1), seconds=evaluation.seconds)


def test_the_same_seed_gives_the_same_scores(trained: RetrievalEvaluator) -> None:
    first, other, again = (trained.evaluate(SUBSET, seed) for seed in (0, 1, 0))

    assert first.tasks == again.tasks
    assert first.tasks != other.tasks


def test_training_lifts_the_score_and_leaves_the_base_alone(
    trained: RetrievalEvaluator, untrained: RetrievalEvaluator
) -> None:
    before = trained.base.encoder.fingerprint()

    lifted = trained.evaluate(SUBSET, 0).mean

    assert lifted > untrained.evaluate(SUBSET, 0).mean + 0.02
    assert trained.base.encoder.fingerprint() == before


def test_an_evaluation_says_how_it_came_about(trained: RetrievalEvaluator) -> None:
    stages: list[tuple[str, int, int]] = []

    evaluation = trained.evaluate((3, 4, 5), 0, lambda *stage: stages.append(stage))

    assert evaluation.notes == ("layer 3 comes first and loses attn_norm.weight",)
    assert all(evaluation.seconds[stage] > 0 for stage in ("cut", "train", "evaluate"))
    assert evaluation.device == "cpu"
    public, _, _build = torch.__version__.partition("+")
    assert evaluation.versions["torch"].partition("+")[0] == public
    assert [stage for stage in stages if stage[0] == "train"] == [
        ("train", step, 12) for step in range(1, 13)
    ]
    assert stages[-1] == ("evaluate", 3, 3)


def test_data_and_base_are_read_once(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "read again"
        raise AssertionError(message)

    monkeypatch.setattr(library, "load_dataset", refuse)
    monkeypatch.setattr(pairs, "load_dataset", refuse)
    monkeypatch.setattr(folders, "read_rows", refuse)
    monkeypatch.setattr(loaded, "load_whole", refuse)

    assert trained.evaluate((0, 1), 0).mean > 0


def test_both_losses_compute_the_same_gradients(small_toy: Path) -> None:
    losses = ("multiple-negatives-ranking", "cached-multiple-negatives-ranking")
    found = []
    for loss in losses:
        keys = {"steps": 3, "loss": loss, "micro_batch": 5, "learning_rate": 1e-4}
        evaluator = retrieval.build(small_toy, keys)
        model, _ = evaluator.base.cut(SUBSET)
        model, _ = evaluator._finetune(SUBSET, model, 0, evaluators.silent)
        found.append(torch.cat([weight.flatten() for weight in model.parameters()]))

    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_a_loss_that_is_not_a_number_fails_the_trial(small_toy: Path) -> None:
    evaluator = retrieval.build(small_toy, {"steps": 10})
    beyond = evaluator.options.model_copy(update={"learning_rate": 1e30})  # no file may say so
    evaluator = replace(evaluator, options=beyond)

    with pytest.raises(evaluators.TrialFailure, match=r"not a number|not numbers"):
        evaluator.evaluate(SUBSET, 0)


def test_other_errors_are_not_taken_for_a_failed_trial(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "device-side assert"
        raise RuntimeError(message)

    monkeypatch.setattr(finetune, "train", broken)

    with pytest.raises(RuntimeError, match="device-side assert"):
        trained.evaluate(SUBSET, 0)


@pytest.mark.parametrize(
    ("empty", "missing"),
    [("relevant", "query with a relevant document"), ("corpus", "document")],
)
def test_an_empty_task_fails_the_trial(
    empty: str, missing: str, untrained: RetrievalEvaluator
) -> None:
    nothing: dict[str, dict[str, str]] = {empty: {}}
    task = replace(untrained.collections[1], **nothing)  # type: ignore[arg-type]
    broken = replace(untrained, collections=(untrained.collections[0], task))

    with pytest.raises(evaluators.TrialFailure, match=f"task ToyPeople is empty: .* no {missing}"):
        broken.evaluate(SUBSET, 0)


def test_fingerprints_follow_the_data(untrained: RetrievalEvaluator, small_toy: Path) -> None:
    few = retrieval.build(small_toy, {"test": {"data": retrieval.SMALL, "tasks": ["ToyPlaces"]}})

    one, other = untrained.description.fingerprints, few.description.fingerprints

    assert one["base"] == other["base"]
    assert one["test"] != other["test"]
