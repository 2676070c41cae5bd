"""Several test sets in one evaluator: a weighted mean, and nothing that is held out."""

from pathlib import Path

import pytest

from evaluators import ScreenOptions, TaskShare
from evaluators.retrieval import scoring
from evaluators.retrieval.data import Collection
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import walk
from tests.support import retrieval
from tests.support.data_files import make_task, write_set
from tests.support.trees import tree_of

pytestmark = pytest.mark.slow

SUBSET = (0, 2, 5)


@pytest.fixture(scope="module")
def several(small_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> RetrievalEvaluator:
    """An evaluator with two test sets of unequal weight, and a third one held out."""
    folder = tmp_path_factory.mktemp("sets")
    own = write_set(folder / "own", {"ToyPlaces": make_task("fox"), "Other": make_task("owl")})
    unseen = write_set(folder / "unseen", {"Hidden": make_task("bear")})
    test = [
        {"data": retrieval.SMALL, "tasks": ["ToyPlaces", "ToyThings"], "batch_size": 7},
        {"data": str(own), "weight": 3.0, "name": "mine", "batch_size": 5},
    ]
    return retrieval.build(small_toy, {"test": test, "heldout": {"data": str(unseen)}})


def test_tasks_have_their_sets_and_shares(several: RetrievalEvaluator) -> None:
    assert several.description.tasks == {
        "small/ToyPlaces": TaskShare("small", 0.125),
        "ToyThings": TaskShare("small", 0.125),
        "Other": TaskShare("mine", 0.375),
        "mine/ToyPlaces": TaskShare("mine", 0.375),
    }
    assert set(several.description.fingerprints) == {"base", "test", "heldout"}


def test_the_mean_is_that_of_the_sets_by_weight(
    several: RetrievalEvaluator, untrained: RetrievalEvaluator
) -> None:
    evaluation = several.evaluate(SUBSET, 0)
    score = {name: task.score for name, task in evaluation.tasks.items()}
    small = (score["small/ToyPlaces"] + score["ToyThings"]) / 2
    mine = (score["mine/ToyPlaces"] + score["Other"]) / 2
    assert evaluation.mean == pytest.approx((small + 3 * mine) / 4, abs=1e-12)

    alone = untrained.evaluate(SUBSET, 0).tasks
    assert evaluation.tasks["ToyThings"] == alone["ToyThings"]
    assert evaluation.tasks["small/ToyPlaces"] == alone["ToyPlaces"]


def test_each_set_has_its_batch_size(
    several: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[str, int] = {}
    score = scoring.score_within_memory

    def noted(model: object, collection: Collection, *arguments: object, **options: int) -> object:
        sizes[collection.task] = options["batch_size"]
        return score(model, collection, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "score_within_memory", noted)
    several.evaluate(SUBSET, 0)
    assert sizes == {"small/ToyPlaces": 7, "ToyThings": 7, "Other": 5, "mine/ToyPlaces": 5}


def test_nothing_held_out_is_scored(
    several: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no trial and by no screen: the evaluator does not even keep the texts."""
    screened: set[str] = set()
    rank = scoring.ndcg_by_query

    def noted(similarity: object, queries: object, documents: object, part: Collection) -> object:
        screened.add(part.task)
        return rank(similarity, queries, documents, part)  # type: ignore[arg-type]

    monkeypatch.setattr(walk, "ndcg_by_query", noted)
    list(several.screen(tree_of(SUBSET), ScreenOptions(queries=2, documents=4)))

    tasks = {"small/ToyPlaces", "ToyThings", "Other", "mine/ToyPlaces"}
    assert set(several.evaluate(SUBSET, 0).tasks) == tasks
    assert screened == tasks
    assert {one.task for one in several.collections} == tasks
    assert not any("bear" in text for one in several.collections for text in one.queries.values())


def test_a_screen_weighs_the_sets_like_a_trial(several: RetrievalEvaluator) -> None:
    everything = ScreenOptions(queries=10_000, documents=100_000)
    (found,) = several.screen(tree_of(SUBSET), everything)
    assert found.ndcg == pytest.approx(several.evaluate(SUBSET, 0).mean, abs=1e-6)
