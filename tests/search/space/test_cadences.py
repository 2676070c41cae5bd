"""The cadence rules: one contract for all, and the pairs of position and layer that each allows."""

from itertools import combinations

import pytest

from search.errors import InputError
from search.space import Rhythm, cadences
from search.space.rhythm import Phase

PHASES: tuple[Phase, ...] = ("first", "last")
SIZE = 9
"""Layers of the base."""


def allowed(name: str, base: Rhythm, cut: Rhythm | None = None) -> set[tuple[int, int]]:
    """Return the pairs of position and layer that a rule allows; the cut follows the base."""
    rule = cadences.load(name)
    places = range(SIZE)
    return {(i, n) for i in places for n in places if rule.allows(i, n, base, cut or base)}


@pytest.fixture(params=PHASES)
def phase(request: pytest.FixtureRequest) -> Phase:
    """Each phase."""
    found: Phase = request.param
    return found


def test_names() -> None:
    assert {"anchored", "free", "periodic", "strict"} <= set(cadences.names())
    assert cadences.names() == sorted(cadences.names())


# the contract


@pytest.mark.parametrize("name", cadences.names())
@pytest.mark.parametrize("period", [1, 2, 3, 6])
def test_every_rule_keeps_the_base_as_it_is(name: str, period: int, phase: Phase) -> None:
    assert {(layer, layer) for layer in range(SIZE)} <= allowed(name, Rhythm(period, phase))


@pytest.mark.parametrize("name", cadences.names())
def test_every_rule_allows_all_where_every_layer_is_global(name: str, phase: Phase) -> None:
    assert len(allowed(name, Rhythm(1, phase))) == SIZE * SIZE


@pytest.mark.parametrize("name", cadences.names())
@pytest.mark.parametrize("period", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8])
def test_a_subset_has_one_cut_rhythm(name: str, period: int, depth: int, phase: Phase) -> None:
    rule, base = cadences.load(name), Rhythm(period, phase)
    for subset in combinations(range(SIZE), depth):
        fitting = [
            cut
            for cut in rule.rhythms(depth, base)
            if all(rule.allows(i, layer, base, cut) for i, layer in enumerate(subset))
        ]
        assert len(fitting) <= 1
        assert rule.cut_rhythm(subset, base) == (fitting[0] if fitting else base)


@pytest.mark.parametrize("name", cadences.names())
def test_cut_rhythms_have_the_phase_of_the_base(name: str, phase: Phase) -> None:
    rule = cadences.load(name)
    rhythms = rule.rhythms(5, Rhythm(3, phase))
    assert {cut.phase for cut in rhythms} == {phase}
    assert rule.own_rhythm == (set(rhythms) != {Rhythm(3, phase)})


@pytest.mark.parametrize("name", cadences.names())
def test_own_rhythms_are_those_of_the_kept_types(name: str, phase: Phase) -> None:
    """The evaluators know no other: `evaluators.Context.own_rhythm`."""
    rule, base = cadences.load(name), Rhythm(3, phase)
    for cut in rule.rhythms(SIZE, base) if rule.own_rhythm else ():
        agreeing = {
            (i, layer)
            for i in range(SIZE)
            for layer in range(SIZE)
            if cut.is_global(i) == base.is_global(layer)
        }
        assert allowed(name, base, cut) == agreeing


# what each rule allows


@pytest.mark.parametrize("name", ["strict", "periodic"])
def test_strict_and_periodic_are_for_both_types(name: str) -> None:
    every = [(i, layer) for i in range(SIZE) for layer in range(SIZE)]
    first, last = Rhythm(3), Rhythm(3, "last")
    assert allowed(name, first) == {(i, n) for i, n in every if (i % 3 == 0) == (n % 3 == 0)}
    assert allowed(name, last) == {(i, n) for i, n in every if (i % 3 == 2) == (n % 3 == 2)}


def test_anchored_binds_global_positions_alone() -> None:
    loose = {(i, layer) for i in range(SIZE) if i % 3 for layer in range(SIZE)}
    assert allowed("anchored", Rhythm(3)) == loose | allowed("strict", Rhythm(3))

    loose = {(i, layer) for i in range(SIZE) if i % 3 != 2 for layer in range(SIZE)}
    last = Rhythm(3, "last")
    assert allowed("anchored", last) == loose | allowed("strict", last)


def test_free_binds_nothing(phase: Phase) -> None:
    assert len(allowed("free", Rhythm(3, phase))) == SIZE * SIZE


def test_only_periodic_has_rhythms_of_its_own() -> None:
    own = {name: cadences.load(name).own_rhythm for name in ("anchored", "free", "strict")}
    assert own == {"anchored": False, "free": False, "strict": False}
    assert cadences.load("periodic").own_rhythm


@pytest.mark.parametrize(
    ("depth", "base", "periods"),
    [
        (4, Rhythm(3), [1, 2, 3, 4]),
        (4, Rhythm(2), [1, 2, 3, 4]),
        (4, Rhythm(6), [1, 2, 3, 6]),  # from 4 on the pattern is the same, and 6 is the base's
        (1, Rhythm(3), [3]),
        (4, Rhythm(3, "last"), [1, 2, 3, 4, 5]),
        (4, Rhythm(6, "last"), [1, 2, 3, 4, 6]),  # from 5 on no position is global
        (4, Rhythm(4, "last"), [1, 2, 3, 4, 5]),
        (1, Rhythm(3, "last"), [1, 3]),
    ],
)
def test_periodic_knows_each_pattern_once(depth: int, base: Rhythm, periods: list[int]) -> None:
    rhythms = cadences.load("periodic").rhythms(depth, base)
    assert rhythms == [Rhythm(period, base.phase) for period in periods]

    # and no period has a pattern that is not among them
    def pattern(cut: Rhythm) -> tuple[bool, ...]:
        return tuple(cut.is_global(position) for position in range(depth))

    patterns = [pattern(cut) for cut in rhythms]
    assert len(set(patterns)) == len(patterns)
    assert {pattern(Rhythm(period, base.phase)) for period in range(1, 50)} == set(patterns)


@pytest.mark.parametrize("wrong", ["loose", "", "_strict", "strict.py"])
def test_unknown_rule(wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        cadences.load(wrong)
    choices = ", ".join(cadences.names())
    assert str(caught.value) == f"unknown cadence {wrong!r}: choose one of {choices}"
