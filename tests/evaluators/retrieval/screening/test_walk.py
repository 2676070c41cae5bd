"""The walk: the score it gives a subset is the score of the cut model."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluators import ScreenOptions, TrialFailure
from evaluators.retrieval.data import Collection
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import SharedStack, sample_collections
from search.space import LayerSpace
from search.space.prefix_tree import PrefixTree
from tests.support import retrieval
from tests.support.trees import layers_run, tree_of

pytestmark = pytest.mark.slow

ALL = ScreenOptions(queries=10_000, documents=100_000)
FEW = ScreenOptions(queries=5, documents=20)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.unmeasured)])
def test_a_walk_scores_as_cutting_does(small_toy: Path, precision: str) -> None:
    """Also where a layer leaves its rhythm, and where layer 0 and its missing norm are cut off."""
    evaluator = retrieval.build(small_toy, precision=precision)
    members = [(0, 1, 2), (0, 1, 18), (0, 3, 7), (1, 2, 3), (17, 20, 21), (5, 9), (0, 21)]

    found = {score.subset: score for score in evaluator.screen(tree_of(*members), ALL)}

    assert set(found) == set(members)
    for subset in members:
        expected = evaluator.evaluate(subset, 0).mean
        assert found[subset].ndcg == pytest.approx(
            expected, abs=1e-6 if precision == "fp32" else 0.02
        )


def test_bert_is_walked_too(minilm: Path, small_toy: Path) -> None:
    whole = retrieval.build(small_toy, base=minilm)
    part = sample_collections(whole.collections, ScreenOptions(queries=4, documents=12))
    evaluator = replace(whole, collections=tuple(part))
    space = LayerSpace(6, 2, None, "free", keep_first=False)

    found = {score.subset: score for score in evaluator.screen(PrefixTree((space,)), ALL)}

    assert set(found) == set(space)
    expected = evaluator.evaluate((2, 4), 0).mean
    assert found[2, 4].ndcg == pytest.approx(expected, abs=1e-6)


def test_a_walk_runs_only_the_layers_from_which_on_a_subset_differs(
    screener: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other layer is run, once the whole base has been."""
    runs: list[tuple[int, int]] = []
    run = SharedStack.run

    def counted(
        self: SharedStack, position: int, source: int, *arguments: object, **options: object
    ) -> object:
        runs.append((position, source))
        return run(self, position, source, *arguments, **options)

    monkeypatch.setattr(SharedStack, "run", counted)
    spaces = tuple(
        LayerSpace(22, depth, 3, "free", forbidden=frozenset(range(4, 20))) for depth in (2, 3, 4)
    )
    tree = PrefixTree(spaces)
    options = ScreenOptions(queries=2, documents=4, batch_size=10_000)

    assert len(list(screener.screen(tree, options))) == tree.count

    batches = 2 * len(screener.collections)  # queries and documents of each task
    assert len(runs) == batches * (22 + layers_run(tree.order()))


def test_the_whole_base_agrees_with_itself(screener: RetrievalEvaluator) -> None:
    whole = PrefixTree((LayerSpace(22, 22),))

    (score,) = screener.screen(whole, FEW)
    (part,) = screener.screen(tree_of((0, 21)), FEW)

    assert score.agreement == pytest.approx(1.0, abs=1e-5)
    assert part.agreement < 0.999


def test_embeddings_that_are_not_numbers_end_the_walk(small_toy: Path) -> None:
    evaluator = retrieval.build(small_toy)
    for tensor in evaluator.base.encoder.weights.values():
        tensor.fill_(float("nan"))

    with pytest.raises(TrialFailure, match="not numbers"):
        list(evaluator.screen(tree_of((0, 1)), ScreenOptions(queries=2, documents=4)))


def test_a_single_document_says_nothing_of_agreement(screener: RetrievalEvaluator) -> None:
    """And is no reason to stop."""
    whole = screener.collections[0]
    query = next(iter(whole.relevant))
    answers = set(sorted(whole.relevant[query])[:1])
    one = Collection(
        "one",
        {query: whole.queries[query]},
        {document: whole.corpus[document] for document in answers},
        {query: answers},
    )
    evaluator = replace(screener, collections=(one,))

    (score,) = evaluator.screen(tree_of((0, 1)), ScreenOptions())

    assert (score.ndcg, score.agreement) == (1, 0)
