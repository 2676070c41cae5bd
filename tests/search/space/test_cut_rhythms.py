"""Spaces of bases with either phase, and the rhythm of the models that their members become."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, Rhythm, cadences
from search.space.rhythm import Phase
from tests.support.chance import chi_square
from tests.support.spaces import PROPERTY, Case, members, possible_cases, types

NOTHING: frozenset[int] = frozenset()


def pattern(rhythm: Rhythm, depth: int) -> str:
    """Write the types of the positions of a cut model: `G` global, `L` local."""
    return "".join("G" if rhythm.is_global(i) else "L" for i in range(depth))


# the rhythm of a cut model


@PROPERTY
@given(possible_cases(), st.data())
def test_cut_rhythm_is_the_types_own_or_the_bases(case: Case, data: st.DataObject) -> None:
    """Of members and of any other subset, of whatever depth."""
    subset = tuple(sorted(data.draw(st.sets(st.integers(0, case.layers - 1), min_size=1))))
    found = case.space.cut_rhythm(subset)
    if case.period is None:
        assert found is None
        return

    assert found is not None
    kinds = types(case.layers, case.period, case.phase)
    own = "".join(kinds[layer] for layer in subset)
    of_some_period = {types(len(subset), p, case.phase) for p in range(1, len(subset) + 2)}
    keeps = case.cadence == "periodic" and own in of_some_period
    assert pattern(found, len(subset)) == (own if keeps else kinds[: len(subset)])
    assert found.phase == case.phase


@PROPERTY
@given(possible_cases())
def test_positions_of_members_take_the_layers_that_the_rule_allows(case: Case) -> None:
    space, rule = case.space, cadences.load(case.cadence)
    if space.rhythm is None:
        return
    for subset in members(case):
        cut = space.cut_rhythm(subset)
        assert cut is not None
        assert all(rule.allows(i, layer, space.rhythm, cut) for i, layer in enumerate(subset))


def test_the_base_keeps_its_rhythm_where_it_has_the_same_pattern() -> None:
    space = LayerSpace(24, 4, 6, "periodic", keep_first=False, phase="last")
    assert space.cut_rhythm((0, 1, 2, 3)) == Rhythm(6, "last")  # no global layer among four
    assert space.cut_rhythm((0, 1, 2, 5)) == Rhythm(4, "last")
    assert space.cut_rhythm((5, 11, 17, 23)) == Rhythm(1, "last")
    assert space.cut_rhythm((5, 6, 7, 8)) == Rhythm(6, "last")  # forms none: the base's

    loose = LayerSpace(24, 4, 6, "free", keep_first=False, phase="last")
    assert loose.cut_rhythm((0, 1, 2, 5)) == Rhythm(6, "last")


@PROPERTY
@given(possible_cases())
def test_global_positions_are_those_of_some_member(case: Case) -> None:
    space = case.space
    rhythms = {space.cut_rhythm(subset) for subset in members(case)}
    found = [rhythm is None or "G" in pattern(rhythm, case.depth) for rhythm in rhythms]
    assert space.has_global_position == any(found)


# prefixes


@PROPERTY
@given(possible_cases(), st.data())
def test_followers_and_cut_rhythms_are_those_of_members(case: Case, data: st.DataObject) -> None:
    space = case.space
    prefix = tuple(sorted(data.draw(st.sets(st.integers(0, case.layers - 1), max_size=4))))
    fitting = [subset for subset in members(case) if subset[: len(prefix)] == prefix]
    after = {subset[len(prefix)] for subset in fitting if len(subset) > len(prefix)}
    assert space.followers(prefix) == sorted(after)

    rhythms = space.cut_rhythms(prefix)
    assert len(set(rhythms)) == len(rhythms)
    assert set(rhythms) == {space.cut_rhythm(subset) or Rhythm(1) for subset in fitting}


# bases with the global layer last


@pytest.mark.parametrize("cadence", cadences.names())
@pytest.mark.parametrize(
    ("layers", "period", "depth"),
    [
        pytest.param(24, 6, 3, id="gemma, shallow"),
        pytest.param(24, 6, 21, id="gemma, deep"),
        pytest.param(16, 3, 4, id="ultrabert, shallow"),
        pytest.param(16, 3, 13, id="ultrabert, deep"),
    ],
)
@pytest.mark.parametrize("keep_first", [True, False])
def test_spaces_of_known_bases(
    cadence: str, layers: int, period: int, depth: int, *, keep_first: bool
) -> None:
    case = Case(layers, depth, period, cadence, keep_first, NOTHING, NOTHING, "last")
    expected = members(case)
    if not expected:
        with pytest.raises(InputError, match=f"^no subset of depth {depth} out of {layers} "):
            LayerSpace(*case)
        return

    space = case.space
    assert space.count == len(expected)
    assert list(space) == expected
    assert [space.unrank(rank) for rank in range(space.count)] == expected
    assert [space.rank(subset) for subset in expected] == list(range(space.count))
    inside = set(expected)
    assert all((s in space) == (s in inside) for s in combinations(range(layers), depth))


@pytest.mark.parametrize("depth", [4, 7, 12])
def test_each_rule_holds_the_subsets_of_a_stricter_one(depth: int) -> None:
    strict, anchored, free, periodic = (
        set(LayerSpace(16, depth, 3, rule, phase="last"))
        for rule in ("strict", "anchored", "free", "periodic")
    )
    assert strict < anchored < free
    assert strict < periodic < free


@pytest.mark.parametrize("phase", ["first", "last"])
def test_periodic_space_is_free_where_all_layers_are_global(phase: Phase) -> None:
    periodic = LayerSpace(8, 4, 1, "periodic", phase=phase)
    assert list(periodic) == list(LayerSpace(8, 4, 1, "free", phase=phase))


# chance


@pytest.mark.parametrize(
    ("space", "size", "limit"),
    [  # limits: the 99.9 % quantile for size - 1 degrees of freedom
        (LayerSpace(9, 4, 3, "periodic"), 43, 76.08),
        (LayerSpace(9, 4, 3, "periodic", keep_first=False, phase="last", pinned={5}), 28, 55.48),
    ],
)
def test_sampling_is_uniform_over_all_cut_rhythms(
    space: LayerSpace, size: int, limit: float
) -> None:
    possible = list(space)
    assert len(possible) == size
    assert len({space.cut_rhythm(subset) for subset in possible}) > 2
    rng = random.Random(11)
    assert chi_square([space.sample(rng) for _ in range(1000 * size)], possible) < limit


# many layers


@pytest.mark.timeout(20)
def test_large_periodic_space() -> None:
    space = LayerSpace(96, 48, 3, "periodic", phase="last", keep_first=False)
    subset = space.sample(random.Random(0))
    assert subset in space
    assert space.unrank(space.rank(subset)) == subset
    assert space.decode([1] * 96) in space


def test_too_large_a_space_is_refused_before_it_is_counted() -> None:
    with pytest.raises(InputError) as caught:
        LayerSpace(512, 256, 3, "periodic")
    assert str(caught.value) == (
        "depth 256 out of 512 layers is too large to count under cadence 'periodic': "
        "choose a smaller depth or another cadence"
    )
