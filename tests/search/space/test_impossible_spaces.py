"""Arguments of a space that contradict each other, and the sentence each is refused with."""

from typing import Any

import pytest

from search.errors import InputError
from search.space import LayerSpace


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "a base has at least 1 layer, not 0"),
        ({"layers": -2}, "a base has at least 1 layer, not -2"),
        ({"depth": 0}, "depth 0 is impossible: the base has 12 layers"),
        ({"depth": -1}, "depth -1 is impossible: the base has 12 layers"),
        ({"depth": 13}, "depth 13 is impossible: the base has 12 layers"),
        ({"period": 0}, "period 0 is impossible: choose 1 or more"),
        ({"period": -3}, "period -3 is impossible: choose 1 or more"),
        (
            {"cadence": "loose"},
            "unknown cadence 'loose': choose one of anchored, free, periodic, strict",
        ),
        ({"cadence": ""}, "unknown cadence '': choose one of anchored, free, periodic, strict"),
        (
            {"period": None},
            "cadence 'strict' needs an attention rhythm; the base has none: use 'free'",
        ),
        (
            {"period": None, "cadence": "anchored"},
            "cadence 'anchored' needs an attention rhythm; the base has none: use 'free'",
        ),
        (
            {"period": None, "cadence": "periodic"},
            "cadence 'periodic' needs an attention rhythm; the base has none: use 'free'",
        ),
        ({"phase": "middle"}, "phase 'middle' is impossible: choose first or last"),
        ({"pinned": {12}}, "layer 12 does not exist: the base has layers 0 to 11"),
        ({"pinned": {-1}}, "layer -1 does not exist: the base has layers 0 to 11"),
        ({"forbidden": {3, 40}}, "layer 40 does not exist: the base has layers 0 to 11"),
        (
            {"pinned": {3, 5}, "forbidden": {5}},
            "layer 5 is both kept and forbidden: take it out of one of them",
        ),
        (
            {"forbidden": {0}},
            (
                "layer 0 is both kept and forbidden (keep_first keeps layer 0): "
                "take it out of one of them"
            ),
        ),
        (
            {"keep_first": False, "pinned": {0}, "forbidden": {0}},
            "layer 0 is both kept and forbidden: take it out of one of them",
        ),
        (
            {"pinned": {1, 2, 3, 4}},
            "depth 4 cannot hold the 5 pinned layers (0, 1, 2, 3, 4)",
        ),
        (
            {"pinned": {1, 2, 4}},
            (
                "no subset of depth 4 out of 12 layers satisfies cadence 'strict' with "
                "these pinned and forbidden layers: loosen one of them"
            ),
        ),
        (
            {"forbidden": {3, 6, 9}, "cadence": "anchored"},
            (
                "no subset of depth 4 out of 12 layers satisfies cadence 'anchored' with "
                "these pinned and forbidden layers: loosen one of them"
            ),
        ),
        (
            {"depth": 12, "forbidden": {7}, "cadence": "free"},
            (
                "no subset of depth 12 out of 12 layers satisfies cadence 'free' with these pinned "
                "and forbidden layers: loosen one of them"
            ),
        ),
    ],
)
def test_impossible_spaces(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        LayerSpace(**({"layers": 12, "depth": 4} | arguments))
    assert str(caught.value) == message
