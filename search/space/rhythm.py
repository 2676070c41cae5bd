"""The rhythm of attention: which layers of a model attend globally, by a period and a phase."""

from dataclasses import dataclass
from typing import Literal, get_args

from search.errors import InputError

Phase = Literal["first", "last"]
"""Which layer of each period is global."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The regular change of global and local layers.

    Attributes:
        period: number of consecutive layers of which one is global, 1 or more.
        phase: which of them: the `first` (ModernBERT), or the `last` (Gemma 3, UltraBERT).

    Raises:
        InputError: there is no such period or phase.
    """

    period: int
    phase: Phase = "first"

    def __post_init__(self) -> None:
        """Refuse impossible periods and phases."""
        if self.period < 1:
            message = f"period {self.period} is impossible: choose 1 or more"
            raise InputError(message)
        if self.phase not in get_args(Phase):
            message = f"phase {self.phase!r} is impossible: choose first or last"
            raise InputError(message)

    def is_global(self, index: int) -> bool:
        """Whether layer `index` attends globally: i % p == 0, or (i + 1) % p == 0 for the last."""
        return (index + (self.phase == "last")) % self.period == 0

    @property
    def in_words(self) -> str:
        """The indices of global layers in words, for a sentence."""
        if self.period == 1:
            return "every index"
        if self.phase == "first":
            return f"every index divisible by {self.period}"
        return f"every index one below a multiple of {self.period}"
