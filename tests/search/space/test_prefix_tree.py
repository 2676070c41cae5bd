"""The tree that a screen walks: every subset once, in an order that begins with a fair sample."""

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, Subset, cadences
from search.space.prefix_tree import PrefixTree, _spread
from search.space.rhythm import Phase
from tests.support.trees import layers_run


def every_depth(
    layers: int, cadence: str = "strict", *, keep_first: bool = True, phase: Phase = "first"
) -> tuple[LayerSpace, ...]:
    """Return the spaces of all depths that are possible."""
    found = []
    for depth in range(1, layers + 1):
        try:
            found.append(LayerSpace(layers, depth, 3, cadence, keep_first, phase=phase))
        except InputError:
            continue
    return tuple(found)


def test_the_reference_base_at_all_depths() -> None:
    """22 layers, strict, layer 0 kept: figures of a count by hand."""
    tree = PrefixTree(every_depth(22))
    assert tree.count == tree.edges == 24_173
    assert sum(space.depth * space.count for space in tree.spaces) == 235_974


@given(
    layers=st.integers(1, 9),
    cadence=st.sampled_from(cadences.names()),
    keep_first=st.booleans(),
    phase=st.sampled_from(["first", "last"]),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_the_order_holds_every_member_once(
    layers: int, cadence: str, *, keep_first: bool, phase: Phase, seed: int, data: st.DataObject
) -> None:
    spaces = every_depth(layers, cadence, keep_first=keep_first, phase=phase)
    assume(spaces)
    chosen = data.draw(st.lists(st.sampled_from(spaces), min_size=1, unique_by=lambda s: s.depth))

    tree = PrefixTree(tuple(chosen))
    order = list(tree.order(seed))
    members = [subset for space in chosen for subset in space]
    assert Counter(order) == Counter(members)
    assert layers_run(order) >= layers_run(sorted(order)) == tree.edges


@given(data=st.data())
def test_done_subsets_are_left_out_and_change_no_order(data: st.DataObject) -> None:
    spaces = every_depth(8, "free")[1:4]
    members = [subset for space in spaces for subset in space]
    done = data.draw(st.sets(st.sampled_from(members)))

    rest = [subset for subset in PrefixTree(spaces).order() if subset not in done]
    assert list(PrefixTree(spaces, frozenset(done)).order()) == rest


@given(depths=st.sets(st.integers(2, 5)))
def test_some_depths_alone_are_walked(depths: set[int]) -> None:
    tree = PrefixTree(every_depth(8, "free")[1:5], depths=depths)
    walked = [space for space in tree.spaces if space.depth in depths]
    assert set(tree.order()) == {subset for space in walked for subset in space}
    assert tree.count == sum(space.count for space in walked)
    assert tree.edges == layers_run(sorted(tree.order()))
    drawn = {len(tree.draw(random.Random(seed))) for seed in range(60)}
    assert drawn == {2, 3, 4, 5}  # a supernet is one for all depths


def test_pinned_layers_are_on_every_way() -> None:
    space = LayerSpace(10, 4, None, "free", pinned={3, 7})
    assert set(PrefixTree((space,)).order()) == set(space)


# any beginning is a fair sample


def test_seeds_give_orders_of_their_own() -> None:
    tree = PrefixTree(every_depth(12))
    orders = [list(tree.order(seed)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


@given(count=st.integers(0, 300), seed=st.integers(0, 99))
def test_places_are_spread_evenly(count: int, seed: int) -> None:
    """Of the first n places, each half of all holds half, up to one or two of either."""
    spread = _spread(range(count), random.Random(seed))
    assert sorted(spread) == list(range(count))
    for number in range(count):
        low = sum(place < count / 2 for place in spread[:number])
        assert abs(2 * low - number) <= 3


def test_each_place_comes_first_about_as_often() -> None:
    first = Counter(_spread(range(10), random.Random(seed))[0] for seed in range(4000))
    assert set(first) == set(range(10))
    assert max(first.values()) < 3 * min(first.values())


@pytest.fixture(scope="module")
def reference() -> list[Subset]:
    """The order of all strict subsets of 22 layers."""
    return list(PrefixTree(every_depth(22)).order())


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_beginning_looks_like_the_whole(reference: list[Subset], share: float) -> None:
    """Which layers are kept, and what subsets begin with, at each large depth."""
    begun = reference[: int(share * len(reference))]
    for depth in range(8, 14):
        whole = [subset for subset in reference if len(subset) == depth]
        here = [subset for subset in begun if len(subset) == depth]
        assert len(here) == pytest.approx(share * len(whole), rel=0.25)

        error = 0.5 / math.sqrt(len(here))  # of a share in a simple random sample, at most
        for layer in range(1, 22):
            assert abs(share_with(here, layer) - share_with(whole, layer)) < 4 * error
        assert abs(share_of_first(here) - share_of_first(whole)) < 4 * error


def share_with(subsets: Sequence[Subset], layer: int) -> float:
    """Return the share of the subsets that keep a layer."""
    return sum(layer in subset for subset in subsets) / len(subsets)


def share_of_first(subsets: Sequence[Subset]) -> float:
    """Return the share of the subsets that begin with the first two layers."""
    return sum(subset[:2] == (0, 1) for subset in subsets) / len(subsets)


@pytest.mark.slow
def test_a_fair_order_runs_few_layers_again(reference: list[Subset]) -> None:
    tree = PrefixTree(every_depth(22))
    assert tree.edges < layers_run(reference) < 1.5 * tree.edges


@pytest.mark.parametrize(("depths", "ratio"), [({4}, 1.1), ({4, 7}, 1.2)])
def test_few_depths_run_fewer_layers_again(depths: set[int], ratio: float) -> None:
    tree = PrefixTree(every_depth(22), depths=depths)
    assert tree.edges < layers_run(tree.order()) < ratio * tree.edges


# draws


@pytest.mark.parametrize("cadence", cadences.names())
def test_draws_are_members_of_every_depth(cadence: str) -> None:
    tree = PrefixTree(every_depth(7, cadence))
    rng = random.Random(0)
    drawn = [tree.draw(rng) for _ in range(300)]
    assert all(any(subset in space for space in tree.spaces) for subset in drawn)
    assert {len(subset) for subset in drawn} == {space.depth for space in tree.spaces}


def test_done_subsets_of_other_spaces_do_not_matter() -> None:
    """A screen that began with a wider space has done subsets that this tree does not hold."""
    space = LayerSpace(5, 2, None, "free")
    done: set[Subset] = {(0, 1), (1, 2), (0, 2, 3)}
    assert set(PrefixTree((space,), frozenset(done)).order()) == set(space) - done


def test_a_tree_that_is_done_is_empty() -> None:
    spaces = every_depth(6)
    tree = PrefixTree(spaces, frozenset(subset for space in spaces for subset in space))
    assert list(tree.order()) == []
    assert tree.count == tree.edges > 0  # the figures of the whole tree
