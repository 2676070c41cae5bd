"""The tree that a screen walks: every subset once, every prefix once, nothing else."""

import random
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, Subset, cadences
from search.space.prefix_tree import PrefixTree
from search.space.rhythm import Phase


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


def walk(tree: PrefixTree, prefix: Subset = ()) -> list[Subset]:
    """Return all nodes below `prefix`, in the order of the walk."""
    nodes = []
    for layer in tree.children(prefix):
        nodes += [(*prefix, layer), *walk(tree, (*prefix, layer))]
    return nodes


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
    data=st.data(),
)
def test_a_walk_meets_every_member_once(
    layers: int, cadence: str, *, keep_first: bool, phase: Phase, data: st.DataObject
) -> None:
    spaces = every_depth(layers, cadence, keep_first=keep_first, phase=phase)
    assume(spaces)
    chosen = data.draw(st.lists(st.sampled_from(spaces), min_size=1, unique_by=lambda s: s.depth))

    tree = PrefixTree(tuple(chosen))
    nodes = walk(tree)
    members = [subset for space in chosen for subset in space]
    assert len(set(nodes)) == len(nodes) == tree.edges
    assert Counter(node for node in nodes if tree.wanted(node)) == Counter(members)

    # no way that leads nowhere: each node is the beginning of a member
    assert all(any(member[: len(node)] == node for member in members) for node in nodes)


@given(data=st.data())
def test_done_subsets_are_not_walked_again(data: st.DataObject) -> None:
    spaces = every_depth(8, "free")[1:4]
    members = [subset for space in spaces for subset in space]
    done = data.draw(st.sets(st.sampled_from(members)))

    tree = PrefixTree(spaces, frozenset(done))
    nodes = walk(tree)
    missing = set(members) - done
    assert {node for node in nodes if tree.wanted(node)} == missing
    assert all(any(member[: len(node)] == node for member in missing) for node in nodes)


def test_pinned_layers_are_on_every_way() -> None:
    space = LayerSpace(10, 4, None, "free", pinned={3, 7})
    nodes = walk(PrefixTree((space,)))
    assert {node for node in nodes if len(node) == 4} == set(space)


@pytest.mark.parametrize("cadence", cadences.names())
def test_draws_are_members_of_every_depth(cadence: str) -> None:
    tree = PrefixTree(every_depth(7, cadence))
    rng = random.Random(0)
    drawn = [tree.draw(rng) for _ in range(300)]
    assert all(any(subset in space for space in tree.spaces) for subset in drawn)
    assert {len(subset) for subset in drawn} == {space.depth for space in tree.spaces}


def test_done_subsets_of_other_spaces_close_no_branch() -> None:
    """A screen that began with a wider space has done subsets that this tree does not hold."""
    space = LayerSpace(5, 2, None, "free")
    done: set[Subset] = {(0, 1), (1, 2), (0, 2, 3)}
    tree = PrefixTree((space,), frozenset(done))
    assert tree.children((0,)) == [2, 3, 4]
    assert {node for node in walk(tree) if tree.wanted(node)} == set(space) - done


def test_a_tree_that_is_done_has_no_branch() -> None:
    spaces = every_depth(6)
    tree = PrefixTree(spaces, frozenset(subset for space in spaces for subset in space))
    assert walk(tree) == []
    assert tree.count == tree.edges > 0  # the figures of the whole tree
