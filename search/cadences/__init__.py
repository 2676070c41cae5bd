"""Cadence rules: which source layer may take which position of the cut model.

A rule is a module with one function, `allows(position, layer, period)`. Positions follow the
rhythm of the cut model and layers that of the base: index `i` is global when `i % period == 0`,
else local.
"""

import sys
from typing import Protocol, cast

from search import discovery


class Cadence(Protocol):
    """What a rule's module offers."""

    def allows(self, position: int, layer: int, period: int) -> bool:
        """Whether source layer `layer` may take `position` of the cut model."""
        ...


def names() -> list[str]:
    """Names of all cadence rules."""
    return discovery.names(sys.modules[__name__])


def load(name: str) -> Cadence:
    """The rule called `name`.

    Raises:
        InputError: there is no such rule.
    """
    return cast("Cadence", discovery.load(sys.modules[__name__], "cadence", name))
