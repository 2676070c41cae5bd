"""Cadence rules: which source layer may take which position of the cut model.

A rule is a module with one function, `allows(position, layer, period)`. Positions follow the
rhythm of the cut model and layers that of the base: index `i` is global when `i % period == 0`,
else local.
"""

import sys
from typing import Protocol, cast

from search import plugins


class Cadence(Protocol):
    """The interface of a rule's module."""

    def allows(self, position: int, layer: int, period: int) -> bool:
        """Whether source layer `layer` may take `position` of the cut model."""
        ...


def names() -> list[str]:
    """Return the names of all cadence rules."""
    return plugins.names(sys.modules[__name__])


def load(name: str) -> Cadence:
    """Return the rule called `name`.

    Raises:
        InputError: there is no such rule; the message lists the choices.
    """
    return cast("Cadence", plugins.load(sys.modules[__name__], "cadence", name))
