"""Whether draws are as likely as they should be."""

from collections import Counter
from collections.abc import Hashable, Sequence


def chi_square(drawn: Sequence[Hashable], possible: Sequence[Hashable]) -> float:
    """Return Pearson's statistic of `drawn` against equal chances for all of `possible`."""
    counts = Counter(drawn)
    assert set(counts) <= set(possible)
    expected = len(drawn) / len(possible)
    return sum((counts[one] - expected) ** 2 / expected for one in possible)
