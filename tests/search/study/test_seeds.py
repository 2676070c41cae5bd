"""Seeds that are free: ascending, and from the largest on to 0."""

from itertools import islice

import pytest

from search.study.seeds import free_seeds
from storage.values.bounds import LARGEST_SEED


@pytest.mark.parametrize(
    ("used", "first", "free"),
    [
        (set(), 0, [0, 1, 2]),
        ({1, 2, 9}, 0, [0, 3, 4]),
        ({7}, 7, [8, 9, 10]),
        (set(), LARGEST_SEED, [LARGEST_SEED, 0, 1]),
        ({LARGEST_SEED, 1}, LARGEST_SEED - 1, [LARGEST_SEED - 1, 0, 2]),
    ],
)
def test_free_seeds(used: set[int], first: int, free: list[int]) -> None:
    assert list(islice(free_seeds(used, first), 3)) == free


def test_no_seed_comes_twice() -> None:
    assert set(islice(free_seeds({0}, LARGEST_SEED), 100)) == {LARGEST_SEED, *range(1, 100)}
