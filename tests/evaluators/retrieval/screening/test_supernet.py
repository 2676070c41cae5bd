"""The supernet: each step trains the layers of another subset, and the base stays as it was."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

import evaluators
from evaluators import ScreenOptions
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import SharedStack
from evaluators.retrieval.screening.stack import Step
from search.space import LayerSpace, Subset
from search.space.prefix_tree import PrefixTree
from tests.support.trees import tree_of

pytestmark = pytest.mark.slow


def test_the_supernet_draws_subsets_and_trains_their_layers(
    screener: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Subset] = []
    step_through = SharedStack.step_through

    def noted(self: SharedStack, subset: Subset) -> Step:
        drawn.append(subset)
        return step_through(self, subset)

    monkeypatch.setattr(SharedStack, "step_through", noted)
    far = frozenset(range(9, 22))
    spaces = tuple(LayerSpace(22, depth, 3, "strict", forbidden=far) for depth in (2, 3))
    tree = PrefixTree(spaces)
    options = ScreenOptions(weights="supernet", steps=4, queries=3, documents=8, learning_rate=1e-3)
    before = {name: weight.clone() for name, weight in screener.base.encoder.weights.items()}

    supernet = list(screener.screen(tree, options))

    steps = drawn[:4]
    assert all(any(subset in space for space in spaces) for subset in steps)
    assert len(set(steps)) > 1
    after = screener.base.encoder.weights
    assert all(torch.equal(before[name], weight) for name, weight in after.items())

    plain = list(screener.screen(tree, options.model_copy(update={"weights": "untrained"})))
    assert [score.subset for score in plain] == [score.subset for score in supernet]
    assert fmean(score.ndcg for score in plain) != fmean(score.ndcg for score in supernet)

    again = list(screener.screen(tree, options))
    assert again == supernet  # the same seed draws and trains the same


def test_a_supernet_without_training_data_is_refused(screener: RetrievalEvaluator) -> None:
    untrained = replace(screener, pairs=None)

    with pytest.raises(evaluators.InputError, match=r'screen\.weights = "supernet" needs'):
        next(untrained.screen(tree_of((0, 1)), ScreenOptions(weights="supernet")))
