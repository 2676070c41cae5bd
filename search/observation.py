"""One trial as samplers and the surrogate see it."""

from dataclasses import dataclass

from search.space.subset import Subset


@dataclass(frozen=True, slots=True)
class Observation:
    """The outcome of one trial so far.

    Attributes:
        subset: the kept layers.
        score: mean score over tasks; None unless the trial is complete.
        is_pending: whether it is running, or waits for a worker; without a score and not pending,
            it has failed.
        seed: its seed.
    """

    subset: Subset
    score: float | None = None
    is_pending: bool = False
    seed: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether it ended without a score."""
        return self.score is None and not self.is_pending
