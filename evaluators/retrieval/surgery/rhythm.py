"""The rhythm of attention: which layers attend globally, and which types a cut model has."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

GLOBAL = "full_attention"
"""Name of global attention in `config.layer_types`."""

_LOCALS = frozenset({"sliding_attention", "chunked_attention"})
"""Types that differ from global attention in mask and rotary frequencies alone; all others have
weights of their own."""


class Rhythm(NamedTuple):
    """Global attention at one layer of each period: the first of it, or the last.

    Attributes:
        period: distance of two global layers.
        phase: place of the global layer in its period.
    """

    period: int
    phase: Literal["first", "last"]

    def is_global(self, index: int) -> bool:
        """Whether the layer at `index`, from 0, attends globally."""
        return (index + (self.phase == "last")) % self.period == 0


def find_rhythm(types: Sequence[str] | None) -> Rhythm | None:
    """Return the rhythm of a base's layer types; None where all are alike, or follow no rhythm.

    Args:
        types: the type of each layer, as in `config.layer_types`.
    """
    others = {kind for kind in types or () if kind != GLOBAL}
    if not types or GLOBAL not in types or len(others) != 1 or not others <= _LOCALS:
        return None

    is_global = [kind == GLOBAL for kind in types]
    for period in range(2, len(types) + 1):
        for phase in ("first", "last"):
            rhythm = Rhythm(period, phase)
            if is_global == [rhythm.is_global(layer) for layer in range(len(types))]:
                return rhythm

    return None


def find_own_rhythm(types: Sequence[str], base: Rhythm) -> Rhythm | None:
    """Return the rhythm that the types of kept layers form, of any period and the base's phase.

    Args:
        types: types of the kept layers, in order.
        base: rhythm of the base.

    Returns:
        The rhythm with the shortest period; a single global layer has a period as long as it can
        have. None where the types form no such rhythm.
    """
    is_global = [kind == GLOBAL for kind in types]
    for period in range(1, len(types) + 2):
        rhythm = Rhythm(period, base.phase)
        if is_global == [rhythm.is_global(position) for position in range(len(types))]:
            return rhythm

    return None


def types_in(rhythm: Rhythm, depth: int, local: str) -> list[str]:
    """Return the types of the `depth` layers of a cut model with this rhythm.

    Args:
        rhythm: rhythm of the cut model.
        depth: number of its layers.
        local: name of the type between global layers, such as `sliding_attention`.
    """
    return [GLOBAL if rhythm.is_global(position) else local for position in range(depth)]
