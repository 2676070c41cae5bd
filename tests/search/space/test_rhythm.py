"""Rhythms: which layers attend globally."""

from typing import Any

import pytest

from search.errors import InputError
from search.space import Rhythm


@pytest.mark.parametrize(
    ("rhythm", "global_layers"),
    [
        (Rhythm(3), [0, 3, 6, 9]),
        (Rhythm(3, "last"), [2, 5, 8, 11]),
        (Rhythm(6, "last"), [5, 11]),
        (Rhythm(1), list(range(12))),
        (Rhythm(1, "last"), list(range(12))),
        (Rhythm(12), [0]),
        (Rhythm(12, "last"), [11]),
        (Rhythm(13, "last"), []),
    ],
)
def test_global_layers(rhythm: Rhythm, global_layers: list[int]) -> None:
    assert [layer for layer in range(12) if rhythm.is_global(layer)] == global_layers


@pytest.mark.parametrize(
    ("rhythm", "words"),
    [
        (Rhythm(3), "every index divisible by 3"),
        (Rhythm(6, "last"), "every index one below a multiple of 6"),
        (Rhythm(1), "every index"),
        (Rhythm(1, "last"), "every index"),
    ],
)
def test_in_words(rhythm: Rhythm, words: str) -> None:
    assert rhythm.in_words == words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "period 0 is impossible: choose 1 or more"),
        ((-2, "last"), "period -2 is impossible: choose 1 or more"),
        ((3, "middle"), "phase 'middle' is impossible: choose first or last"),
    ],
)
def test_impossible_rhythms(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Rhythm(*arguments)
    assert str(caught.value) == message
