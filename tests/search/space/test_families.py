"""The named families: baselines for any space."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, Subset, cadences, format_subset
from search.space.families import FAMILIES, build_family
from tests.support.spaces import PROPERTY, cases

LITERAL = ("bottom", "top", "alternate")
"""The families that may lie outside the space."""


@st.composite
def spaces(draw: st.DrawFn) -> LayerSpace:
    """Draw spaces of up to 24 layers."""
    try:
        return draw(cases(most_layers=24)).space
    except InputError:
        assume(condition=False)
        raise


def build(name: str, space: LayerSpace) -> list[Subset]:
    """Return the members of a family."""
    return list(build_family(name, space).subsets)


def keys(name: str, space: LayerSpace) -> list[str]:
    """Return the members of a family as keys."""
    return [format_subset(subset) for subset in build(name, space)]


# taken literally


@pytest.mark.parametrize(
    "space",
    [
        LayerSpace(22, 4),
        LayerSpace(22, 4, 3, "periodic", keep_first=False, pinned={9}, forbidden={0, 2, 20}),
        LayerSpace(22, 4, None, "free"),
        LayerSpace(22, 4, 6, "anchored", phase="last"),
    ],
)
def test_literal_families_ask_no_rule(space: LayerSpace) -> None:
    assert keys("bottom", space) == ["0_1_2_3"]
    assert keys("top", space) == ["18_19_20_21"]
    assert keys("alternate", space) == ["0_7_14_21"]


@pytest.mark.parametrize(
    ("layers", "depth", "subset"),
    [
        (12, 6, "0_2_4_6_8_10"),
        (12, 4, "0_3_6_9"),
        (6, 3, "0_2_4"),
        (5, 3, "0_2_4"),
        (22, 7, "0_3_6_9_12_15_18"),
        (6, 1, "0"),
    ],
)
def test_alternate_is_at_equal_distances(layers: int, depth: int, subset: str) -> None:
    assert keys("alternate", LayerSpace(layers, depth, None, "free")) == [subset]


@pytest.mark.parametrize(("layers", "depth", "every_second"), [(22, 12, 11), (5, 4, 3), (6, 6, 3)])
def test_alternate_needs_a_distance_of_two(layers: int, depth: int, every_second: int) -> None:
    picks = build_family("alternate", LayerSpace(layers, depth, None, "free"))
    assert picks.subsets == []
    assert picks.missing == f"every second of {layers} layers are only {every_second}"


# the front


@pytest.mark.parametrize(
    ("depth", "pick"),
    [
        (4, "0_1_2_18"),
        (7, "0_1_2_3_4_5_18"),
        (13, "0_1_2_3_4_5_6_7_8_9_10_11_18"),
    ],
)
@pytest.mark.parametrize("cadence", ["anchored", "free", "strict"])
def test_front_holds_the_picks_of_the_card(cadence: str, depth: int, pick: str) -> None:
    assert pick in keys("front", LayerSpace(22, depth, 3, cadence))


def test_front_ends_on_every_late_global_layer_the_latest_first() -> None:
    late = [21, 18, 15, 12, 9, 6, 3]
    assert keys("front", LayerSpace(22, 4)) == [f"0_1_2_{layer}" for layer in late]

    # a position without a global layer takes the local ones that fit
    local = [20, 19, 17, 16, 14, 13, 11, 10, 8, 7, 5, 4]
    assert keys("front", LayerSpace(22, 5)) == [f"0_1_2_3_{layer}" for layer in local]

    # and under a looser rule it is global again
    anchored = [f"0_1_2_3_{layer}" for layer in (21, 18, 15, 12, 9, 6)]
    assert keys("front", LayerSpace(22, 5, 3, "anchored")) == anchored


def test_front_ends_on_global_layers_of_either_phase() -> None:
    late = [f"0_1_2_{layer}" for layer in (20, 17, 14, 11, 8, 5)]
    assert keys("front", LayerSpace(22, 4, 3, "anchored", phase="last")) == late
    assert keys("front", LayerSpace(24, 3, 6, "periodic", phase="last")) == [
        f"0_1_{layer}" for layer in (23, 17, 11, 5)
    ]


def test_front_respects_forbidden_layers() -> None:
    assert keys("front", LayerSpace(22, 4, forbidden={18, 21}))[0] == "0_1_2_15"


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (LayerSpace(22, 4, forbidden={1}), "layer 1 is forbidden"),
        (LayerSpace(22, 4, forbidden={2, 1, 9}), "layer 1 is forbidden"),
        (
            LayerSpace(22, 4, 3, "free", pinned={18, 5}),
            "it begins with 0_1_2, which leaves no room for pinned 5, 18",
        ),
        (
            LayerSpace(22, 5, 3, "periodic", pinned={8}, phase="last"),
            "no subset of the space begins with 0_1_2_3",
        ),
    ],
)
def test_front_says_why_it_has_no_member(space: LayerSpace, reason: str) -> None:
    picks = build_family("front", space)
    assert picks.subsets == []
    assert picks.missing == reason


def test_front_of_a_base_without_a_rhythm_ends_on_the_last_layer() -> None:
    assert keys("front", LayerSpace(6, 3, None, "free")) == ["0_1_5"]
    assert keys("front", LayerSpace(12, 4, None, "free")) == ["0_1_2_11"]


# the back


@pytest.mark.parametrize(
    ("depth", "subset"),
    [
        (4, "0_19_20_21"),
        (7, "0_16_17_18_19_20_21"),
        (13, "0_10_11_12_13_14_15_16_17_18_19_20_21"),
    ],
)
@pytest.mark.parametrize("keep_first", [True, False])
@pytest.mark.parametrize("cadence", cadences.names())
def test_back_is_the_first_layer_and_the_last_ones(
    cadence: str, depth: int, subset: str, *, keep_first: bool
) -> None:
    assert keys("back", LayerSpace(22, depth, 3, cadence, keep_first=keep_first)) == [subset]


def test_back_goes_as_late_as_the_cadence_allows() -> None:
    assert keys("back", LayerSpace(22, 5)) == ["0_16_17_18_20"]
    assert keys("back", LayerSpace(22, 5, 3, "free")) == ["0_18_19_20_21"]
    assert keys("back", LayerSpace(22, 4, phase="last")) == ["0_19_20_21"]
    assert keys("back", LayerSpace(24, 4, 6, phase="last")) == ["0_20_21_22"]


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (LayerSpace(22, 4, 3, "free", keep_first=False, forbidden={0}), "layer 0 is forbidden"),
        (
            LayerSpace(22, 2, 3, "free", keep_first=False, pinned={5, 18}),
            "it begins with 0, which leaves no room for pinned 5, 18",
        ),
        (
            LayerSpace(22, 3, 3, "periodic", keep_first=False, pinned={2, 5}, phase="last"),
            "no subset of the space begins with 0",
        ),
    ],
)
def test_back_says_why_it_has_no_member(space: LayerSpace, reason: str) -> None:
    picks = build_family("back", space)
    assert picks.subsets == []
    assert picks.missing == reason


# even distances


@pytest.mark.parametrize(
    ("space", "subset"),
    [
        (LayerSpace(22, 4), "0_7_14_21"),
        (LayerSpace(22, 7, 3, "free"), "0_3_7_10_14_17_21"),
        (LayerSpace(12, 4, None, "free"), "0_4_7_11"),
        (LayerSpace(6, 2, None, "free"), "0_5"),
        (LayerSpace(6, 1, None, "free"), "0"),
        (LayerSpace(22, 5), "0_5_10_15_20"),  # no global layer fits the fifth position
    ],
)
def test_spread(space: LayerSpace, subset: str) -> None:
    assert keys("spread", space) == [subset]


@pytest.mark.parametrize("depth", [4, 7, 13])
@pytest.mark.parametrize("cadence", cadences.names())
def test_spread_reaches_from_the_first_to_the_last_global_layer(cadence: str, depth: int) -> None:
    (subset,) = build("spread", LayerSpace(22, depth, 3, cadence))
    assert subset[0] == 0
    assert subset[-1] == 21


# any space


@PROPERTY
@given(spaces())
def test_every_family_has_members_or_a_reason(space: LayerSpace) -> None:
    for name in FAMILIES:
        picks = build_family(name, space)
        assert bool(picks.subsets) == (picks.missing is None)
        assert len(set(picks.subsets)) == len(picks.subsets)
        assert all(len(subset) == space.depth for subset in picks.subsets)
        if name not in LITERAL:
            assert all(subset in space for subset in picks.subsets)
    assert build_family("spread", space).missing is None  # there is always a nearest one


@PROPERTY
@given(spaces())
def test_front_is_the_first_layers_and_one_more(space: LayerSpace) -> None:
    head = tuple(range(space.depth - 1))
    there = [
        (*head, last)
        for last in reversed(range(space.depth - 1, space.layers))
        if (*head, last) in space
    ]
    built = build("front", space)
    if space.rhythm is None:
        assert built == there[:1]
    else:
        assert built == ([s for s in there if space.rhythm.is_global(s[-1])] or there)


@PROPERTY
@given(spaces())
def test_back_keeps_layer_0_and_the_latest_layers(space: LayerSpace) -> None:
    assume(space.count < 3000)
    sums = [sum(subset) for subset in space if subset[0] == 0]
    built = build("back", space)
    assert len(built) == bool(sums)
    assert all(subset[0] == 0 and sum(subset) == max(sums) for subset in built)


def test_unknown_family() -> None:
    choices = "bottom, top, alternate, front, back, spread"
    with pytest.raises(InputError, match=f"^unknown family 'middle': choose one of {choices}$"):
        build_family("middle", LayerSpace(22, 4))
