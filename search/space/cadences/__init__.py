"""Cadence rules: which source layer may take which position of the cut model.

A rule is a module with the function `allows(position, layer, base, cut)`: layers follow the rhythm
of the base, positions that of the cut model. The two are the same rhythm, unless the module also
has a function `rhythms(depth, base)`, which lists the rhythms that a cut model may have. Such a
rule lets each layer keep its type, and lets no subset in under two rhythms: a subset is one model,
and `evaluators.Context.own_rhythm` says which.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search import plugins
from search.space.rhythm import Rhythm


@dataclass(frozen=True, slots=True)
class Cadence:
    """A cadence rule.

    Attributes:
        allows: whether a source layer may take a position of the cut model; called with position,
            layer, the rhythm of the base and that of the cut model.
        rhythms: returns the rhythms that a cut model may have; called with its depth and the
            rhythm of the base.
        own_rhythm: whether a cut model may have another rhythm than the base.
    """

    allows: Callable[[int, int, Rhythm, Rhythm], bool]
    rhythms: Callable[[int, Rhythm], Sequence[Rhythm]]
    own_rhythm: bool

    def cut_rhythm(self, subset: Sequence[int], base: Rhythm) -> Rhythm:
        """Return the rhythm of the model that keeps `subset`: its own where the rule knows one.

        Args:
            subset: layers of the base, ascending; it need not obey the rule.
            base: rhythm of the base, which the cut model follows otherwise.
        """
        for cut in self.rhythms(len(subset), base):
            if all(self.allows(i, layer, base, cut) for i, layer in enumerate(subset)):
                return cut
        return base


def names() -> list[str]:
    """Return the names of all cadence rules."""
    return plugins.names(sys.modules[__name__])


def load(name: str) -> Cadence:
    """Return the rule called `name`.

    Raises:
        InputError: there is no such rule; the message lists the choices.
    """
    module = plugins.load(sys.modules[__name__], "cadence", name)
    own_rhythms = getattr(module, "rhythms", None)
    return Cadence(module.allows, own_rhythms or _only_the_bases, own_rhythms is not None)


def _only_the_bases(_depth: int, base: Rhythm) -> Sequence[Rhythm]:
    """Return the rhythm of the base: positions follow it in every cut model."""
    return (base,)
