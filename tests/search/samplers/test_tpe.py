"""The sampler `tpe`: Optuna's own estimator, decoded to valid subsets."""

import pytest

from search.observation import Observation
from search.samplers.tpe import TPESampler
from search.space import LayerSpace
from tests.support.sampling import SPACE, complete, draw_members, make_sampler


@pytest.mark.slow
def test_learns_from_scores() -> None:
    """Good trials hold layer 20 and bad ones hold layer 1: its proposals follow."""
    history = [
        Observation(subset, (20 in subset) - float(1 in subset))
        for subset in draw_members(SPACE, 120)
    ]
    proposals = [make_sampler("tpe", seed=seed).next_subset(history) for seed in range(12)]
    assert sum(20 in subset for subset in proposals) >= 9
    assert sum(1 in subset for subset in proposals) <= 3
    assert len(set(proposals)) > 1  # the seed still matters


def test_can_model_layers_together() -> None:
    history = complete(draw_members(SPACE, 20))
    together, apart = (
        [
            TPESampler(SPACE, seed=seed, multivariate=chosen).next_subset(history)
            for seed in range(4)
        ]
        for chosen in (True, False)
    )
    assert all(subset in SPACE for subset in together)
    assert together != apart


def test_starts_uniformly() -> None:
    history = complete(draw_members(SPACE, 9))
    expected = make_sampler("uniform").next_subset(history)
    assert make_sampler("tpe").next_subset(history) == expected


def test_draws_when_it_only_repeats_itself() -> None:
    """One subset of twenty is left: most proposals decode to a tried one."""
    space = LayerSpace(6, 3, None, "free", keep_first=False)
    missing = (2, 3, 5)
    history = complete(subset for subset in space if subset != missing)
    assert {make_sampler("tpe", space, seed).next_subset(history) for seed in range(5)} == {missing}
