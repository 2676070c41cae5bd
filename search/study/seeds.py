"""Seeds that a subset was not tried with yet."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from storage.values.bounds import LARGEST_SEED


def free_seeds(used: AbstractSet[int], first: int) -> Iterator[int]:
    """Yield the seeds from `first` on that are not in `used`, ascending; after the largest comes 0.

    Args:
        used: seeds to leave out.
        first: a seed.
    """
    every = chain(range(first, LARGEST_SEED + 1), range(first))
    return (seed for seed in every if seed not in used)
