"""Calls of layers: which of a call's arguments belong to the layer, and which to its place."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments, and keyword arguments, that the stock model passes to a layer besides hidden states.
"""
Key = int | str
"""Place of an argument, or the name of a keyword argument."""


def arguments_by_layer(calls: Sequence[Call], types: Sequence[str] | None) -> set[Key]:
    """Return the arguments that layers of one type do not share, such as Gemma's inputs by layer.

    Args:
        calls: arguments of each layer of the base, of one batch.
        types: attention type of each layer; None where there are none.
    """
    found: set[Key] = set()
    last: dict[str, Call] = {}
    for number, call in enumerate(calls[1:], 1):  # the first may get less: it has no predecessor
        kind = types[number] if types else ""
        if kind in last:
            found |= set(_differing(last[kind], call))
        last[kind] = call
    return found


def call_at(place: int, source: int, calls: Sequence[Call], by_layer: AbstractSet[Key]) -> Call:
    """Return the arguments for a source layer at a place.

    Args:
        place: layer of the base that lends its properties, such as its mask.
        source: layer of the base that is run.
        calls: arguments of each layer of the base.
        by_layer: arguments that belong to the source; all others are those of the place.
    """
    if place == source or not by_layer:
        return calls[place]

    (arguments, options), (own_arguments, own_options) = calls[place], calls[source]
    chosen = [
        own_arguments[number] if number in by_layer else value
        for number, value in enumerate(arguments)
    ]
    named = {
        name: own_options[name] if name in by_layer else value for name, value in options.items()
    }
    return tuple(chosen), named


def _differing(left: Call, right: Call) -> Iterator[Key]:
    """Yield the arguments that have different values in two calls."""
    for number, (one, other) in enumerate(zip(left[0], right[0], strict=True)):
        if not _is_equal(one, other):
            yield number

    for name, one in left[1].items():
        if not _is_equal(one, right[1].get(name)):
            yield name


def _is_equal(left: Any, right: Any) -> bool:
    """Whether two arguments are the same, or hold the same numbers."""
    if left is right:
        return True
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.shape == right.shape and torch.equal(left, right)
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return False if isinstance(left, torch.Tensor | tuple | list) else bool(left == right)
