"""The named families: baselines for any space."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, cadences, format_subset
from search.space.families import FAMILIES, build_family
from tests.support.spaces import PROPERTY, cases


@st.composite
def spaces(draw: st.DrawFn) -> LayerSpace:
    """Draw spaces of up to 24 layers."""
    try:
        return draw(cases(most_layers=24)).space
    except InputError:
        assume(condition=False)
        raise


def keys(name: str, space: LayerSpace) -> list[str]:
    """Return the members of a family as keys."""
    return [format_subset(subset) for subset in build_family(name, space)]


# the front


@pytest.mark.parametrize(
    ("depth", "pick"),
    [
        (4, "0_1_2_18"),
        (7, "0_1_2_3_4_5_18"),
        (13, "0_1_2_3_4_5_6_7_8_9_10_11_18"),
    ],
)
@pytest.mark.parametrize("cadence", cadences.names())
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


def test_front_respects_forbidden_layers() -> None:
    assert keys("front", LayerSpace(22, 4, forbidden={18, 21}))[0] == "0_1_2_15"
    assert keys("front", LayerSpace(22, 4, forbidden={1})) == []


def test_front_of_a_base_without_a_rhythm_ends_on_the_last_layer() -> None:
    assert keys("front", LayerSpace(6, 3, None, "free")) == ["0_1_5"]


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
    (subset,) = build_family("spread", LayerSpace(22, depth, 3, cadence))
    assert subset[0] == 0
    assert subset[-1] == 21


# any space


@PROPERTY
@given(spaces())
def test_every_member_is_in_the_space(space: LayerSpace) -> None:
    for name in FAMILIES:
        built = build_family(name, space)
        assert all(subset in space for subset in built)
        assert len(set(built)) == len(built)
        assert built or name == "front"  # only `front` may have no member


@PROPERTY
@given(spaces())
def test_front_is_the_first_layers_and_one_more(space: LayerSpace) -> None:
    head = tuple(range(space.depth - 1))
    there = [
        (*head, last)
        for last in reversed(range(space.depth - 1, space.layers))
        if (*head, last) in space
    ]
    built = build_family("front", space)
    if space.period is None:
        assert built == there[:1]
    else:
        assert built == ([s for s in there if s[-1] % space.period == 0] or there)


@PROPERTY
@given(spaces())
def test_back_keeps_the_latest_layers(space: LayerSpace) -> None:
    assume(space.count < 3000)
    (built,) = build_family("back", space)
    assert sum(built[1:]) == max(sum(subset[1:]) for subset in space)


def test_unknown_family() -> None:
    message = "^unknown family 'middle': choose one of front, back, spread$"
    with pytest.raises(InputError, match=message):
        build_family("middle", LayerSpace(22, 4))
