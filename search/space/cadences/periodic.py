"""Every kept layer keeps its own attention type, and the cut model has a period of its own."""

from collections.abc import Sequence

from search.space.cadences.strict import allows
from search.space.rhythm import Rhythm

__all__ = ["allows", "rhythms"]


def rhythms(depth: int, base: Rhythm) -> Sequence[Rhythm]:
    """Return one rhythm for each different pattern of `depth` positions in the phase of the base.

    A global position must come up to see the period. Where none does after the first position
    (phase `first`) or none at all (`last`), many periods give one pattern: the base's own stands
    for it if it is among them, else the shortest.
    """
    longest = depth if base.phase == "first" else depth + 1
    seen = [Rhythm(period, base.phase) for period in range(1, longest)]
    return [*seen, Rhythm(max(longest, base.period), base.phase)]
