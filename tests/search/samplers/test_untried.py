"""Draws among the untried members of a space."""

import random

import pytest

from search.errors import SpaceExhaustedError
from search.observation import Observation
from search.samplers._untried import draw_several_untried, draw_untried, first_untried
from search.space import LayerSpace
from tests.support.chance import chi_square

SPACE = LayerSpace(6, 3, None, "free", keep_first=False)
TRIED = [list(SPACE)[i] for i in (0, 1, 7, 18, 19)]
LEFT = [subset for subset in SPACE if subset not in TRIED]


@pytest.fixture
def history() -> list[Observation]:
    """Pending trials of `TRIED`, one of them twice, and one outside the space."""
    pending = [Observation(subset, is_pending=True) for subset in TRIED]
    outside = Observation((0, 1), 1.0)  # takes no place
    return [*pending, outside, pending[2]]  # nor does a repeat


def test_one_draw_is_uniform_over_the_untried(history: list[Observation]) -> None:
    rng = random.Random(3)
    drawn = [draw_untried(SPACE, history, rng) for _ in range(6000)]
    assert set(drawn) == set(LEFT)
    assert chi_square(drawn, LEFT) < 36.12  # the 99.9 % quantile for 14 degrees of freedom


def test_several_are_different_and_ascending(history: list[Observation]) -> None:
    rng = random.Random(3)
    drawn = [draw_several_untried(SPACE, history, rng, 4) for _ in range(3000)]
    assert all(len(set(some)) == 4 and some == sorted(some) for some in drawn)

    # draws without repeats vary less than independent ones, so the limit is generous
    every = [subset for some in drawn for subset in some]
    assert set(every) == set(LEFT)
    assert chi_square(every, LEFT) < 36.12


def test_several_are_at_most_all(history: list[Observation]) -> None:
    for number in (15, 16, 99):
        assert draw_several_untried(SPACE, history, random.Random(0), number) == LEFT


def test_the_first_is_the_lowest(history: list[Observation]) -> None:
    assert first_untried(SPACE, history) == LEFT[0]
    assert first_untried(SPACE, []) == (0, 1, 2)
    assert first_untried(SPACE, [Observation(s) for s in SPACE if s != (3, 4, 5)]) == (3, 4, 5)


def test_nothing_is_left() -> None:
    history = [Observation(subset, 0.5) for subset in SPACE]
    message = "^all 20 subsets of the space have been tried$"
    with pytest.raises(SpaceExhaustedError, match=message):
        draw_untried(SPACE, history, random.Random(0))
    with pytest.raises(SpaceExhaustedError, match=message):
        draw_several_untried(SPACE, history, random.Random(0), 3)
    with pytest.raises(SpaceExhaustedError, match=message):
        first_untried(SPACE, history)
