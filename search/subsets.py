"""Subsets and their canonical key, `0_1_2_18`."""

import re
from itertools import pairwise

from search.errors import InputError

Subset = tuple[int, ...]
"""Kept source layers, ascending."""


def key(subset: Subset) -> str:
    """The canonical key of `subset`, used in the store and on the command line."""
    return "_".join(map(str, subset))


def parse(text: str) -> Subset:
    """The subset whose key is `text`.

    Raises:
        InputError: `text` is not a canonical key.
    """
    if re.fullmatch(r"(0|[1-9][0-9]{0,3})(_(0|[1-9][0-9]{0,3}))*", text):
        subset = tuple(map(int, text.split("_")))
        if all(low < high for low, high in pairwise(subset)):
            return subset
    message = f"{text!r} is not a subset: write ascending layer numbers, such as 0_1_2_18"
    raise InputError(message)
