"""Seeds that a subset was not tried with yet."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import count


def free_seeds(used: AbstractSet[int], first: int) -> Iterator[int]:
    """Yield the seeds from `first` on that are not in `used`, ascending, endlessly."""
    return (seed for seed in count(first) if seed not in used)
