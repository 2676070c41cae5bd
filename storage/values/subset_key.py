"""Subsets of layers and their canonical key, `0_1_2_18`, as the store and the screen write them."""

import re
from itertools import pairwise

from storage.errors import InputError

Subset = tuple[int, ...]
"""The kept source layers, ascending."""

_KEY = re.compile(r"(0|[1-9][0-9]{0,3})(_(0|[1-9][0-9]{0,3}))*")


def format_subset(subset: Subset) -> str:
    """Return the canonical key of `subset`."""
    return "_".join(map(str, subset))


def parse_subset(text: str) -> Subset:
    """Return the subset whose canonical key is `text`.

    Raises:
        InputError: `text` is not a canonical key.
    """
    if _KEY.fullmatch(text):
        subset = tuple(map(int, text.split("_")))
        if all(low < high for low, high in pairwise(subset)):
            return subset

    message = f"{text!r} is not a subset: write ascending layer numbers, such as 0_1_2_18"
    raise InputError(message)
