"""The states of trials and attempts, and the reasons for which trials are begun."""

from enum import StrEnum


class TrialState(StrEnum):
    """The state of a trial."""

    WAITING = "waiting"
    """Nobody holds it, and any worker may take it at once."""
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Origin(StrEnum):
    """The reason for which a trial was begun."""

    FIRST = "first"
    """Its subset is listed under `study.first`."""
    SAMPLER = "sampler"
    """A sampler proposed it; `Trial.sampler` has the name."""
    REPEAT = "repeat"
    """`study.replicates` asked for another seed."""
    REPLICATE = "replicate"
    """The command `replicate` asked for another seed; no budget counts it."""
    MANUAL = "manual"
    """A person chose it; no budget counts it."""
    REFERENCE = "reference"
    """It keeps all layers, for the others to be compared with; no budget counts it."""

    @property
    def is_budgeted(self) -> bool:
        """Whether the budget of the depth counts the trial."""
        return self not in UNBUDGETED


UNBUDGETED = (Origin.REPLICATE, Origin.MANUAL, Origin.REFERENCE)
"""Origins of trials that no budget counts."""


class AttemptOutcome(StrEnum):
    """The end of one attempt at a trial."""

    COMPLETE = "complete"
    FAILED = "failed"
    """There is no score, and the reason is known."""
    INTERRUPTED = "interrupted"
    """Its worker gave it back."""
    BROKE = "broke"
    """Its worker gave it back after an unforeseen error."""
    DIED = "died"
    """Its worker was gone."""
    RELEASED = "released"
    """A person gave it back."""
    SUPERSEDED = "superseded"
    """Another attempt finished the trial first."""


UNSCORED_ROLES = frozenset({"heldout"})
"""Roles of fingerprints that decide no score: data that no trial sees."""
