"""Subsets as features, on one scale over the space."""

import numpy as np

from search.space import LayerSpace
from search.surrogate.features import Encoder
from tests.support.landscapes import SPACE


def test_features_are_on_one_scale_over_the_space() -> None:
    every = Encoder(SPACE).everything
    for block in (every.layers, every.smooth, every.order, every.shape):
        assert abs(block.mean(axis=0)).max() < 0.05
        assert 0.8 < (block**2).sum(axis=1).mean() < 1.05  # layer 0 never varies
    assert (every.kept.sum(axis=1) == SPACE.depth).all()


def test_the_scale_of_a_large_space_is_that_of_a_sample() -> None:
    space = LayerSpace(30, 8, 3, "free")
    encode = Encoder(space)
    assert len(encode.sample) == 2000
    assert all(subset in space for subset in encode.sample)
    assert Encoder(space).sample == encode.sample  # the same on any machine

    some = encode([space.unrank(rank) for rank in range(0, space.count, space.count // 3000)])
    for block in (some.layers, some.smooth, some.order, some.shape):
        assert 0.8 < (block**2).sum(axis=1).mean() < 1.1


def test_the_members_are_those_of_the_space_in_its_order() -> None:
    assert [tuple(row) for row in Encoder(SPACE).members.tolist()] == list(SPACE)
    assert Encoder(SPACE).sample == list(SPACE)


def test_kept_layers_are_ones() -> None:
    features = Encoder(SPACE)([(0, 1, 2, 3, 11), (0, 4, 5, 6, 7)])
    assert len(features) == 2
    assert [np.flatnonzero(row).tolist() for row in features.kept] == [
        [0, 1, 2, 3, 11],
        [0, 4, 5, 6, 7],
    ]


def test_some_rows_are_the_features_of_these_subsets() -> None:
    encode = Encoder(SPACE)
    some = encode.everything.take([7, 0, 7])
    again = encode([SPACE.unrank(rank) for rank in (7, 0, 7)])
    for name in ("layers", "smooth", "order", "shape", "kept"):
        np.testing.assert_allclose(getattr(some, name), getattr(again, name), atol=1e-6)


def test_global_layers_are_counted_in_either_phase() -> None:
    for space in (LayerSpace(12, 4, 3, "free"), LayerSpace(12, 4, 6, "free", phase="last")):
        subsets = list(space)[:: space.count // 50]
        column = Encoder(space)(subsets).shape[:, -1]
        numbers = [sum(space.rhythm.is_global(n) for n in s) for s in subsets if space.rhythm]
        assert len(set(numbers)) > 2
        # the same numbers, but for mean and scale
        assert abs(np.corrcoef(column, numbers)[0, 1] - 1) < 1e-6


def test_columns_that_never_vary_count_for_nothing() -> None:
    """A space of one subset has no scale at all, and a base may have no rhythm."""
    for space in (LayerSpace(5, 5), LayerSpace(5, 1, None, "free")):
        features = Encoder(space).everything
        for block in (features.layers, features.smooth, features.order, features.shape):
            assert np.isfinite(block).all()
            assert abs(block).max() < 1e-3
    assert Encoder(LayerSpace(6, 3, None, "free")).everything.shape.shape[1] == 5
    assert Encoder(LayerSpace(6, 3, 3, "free")).everything.shape.shape[1] == 6
