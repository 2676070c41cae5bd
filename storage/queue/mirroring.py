"""The link between our trials and the Optuna trials that mirror them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from storage.queue.claims import Claim, is_held
from storage.schema import Trial
from storage.states import TrialState
from storage.values.subset_key import Subset

_FINISHED = (TrialState.COMPLETE, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class UnmirroredTrial:
    """A finished trial whose end Optuna does not know yet.

    Attributes:
        trial_id: its number in the store.
        subset: the kept layers.
        optuna_number: number of the Optuna trial that mirrors it; None when there is none.
        mean: its score; None when it failed.
    """

    trial_id: int
    subset: Subset
    optuna_number: int | None
    mean: float | None

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)


def link_claim(connection: Connection, claim: Claim, optuna_number: int) -> bool:
    """Link a claimed trial to an Optuna trial; False when the claim is no longer ours."""
    linked = connection.execute(
        update(Trial).where(*is_held(claim)).values(optuna_number=optuna_number)
    )
    return linked.rowcount == 1


def link_finished(connection: Connection, trial_id: int, optuna_number: int) -> int:
    """Link a finished trial to an Optuna trial unless it has one, and return the one it has."""
    free = (Trial.id == trial_id, Trial.optuna_number.is_(None))
    connection.execute(update(Trial).where(*free).values(optuna_number=optuna_number))

    linked = connection.execute(select(Trial.optuna_number).where(Trial.id == trial_id))
    number = linked.scalar_one()
    return optuna_number if number is None else number


def unmirrored(connection: Connection, study_id: int) -> list[UnmirroredTrial]:
    """Return the finished trials whose end Optuna does not know yet."""
    ended = (
        Trial.study_id == study_id,
        Trial.state.in_(_FINISHED),
        ~Trial.mirrored,  # written like the partial index, or it would not be used
    )
    columns = (Trial.id, Trial.subset, Trial.optuna_number, Trial.mean)
    return [UnmirroredTrial(*row) for row in connection.execute(select(*columns).where(*ended))]


def mark_mirrored(connection: Connection, trial_id: int) -> None:
    """Remember that Optuna knows the end of this trial."""
    connection.execute(update(Trial).where(Trial.id == trial_id).values(mirrored=True))


def finished_numbers(connection: Connection, trial_ids: Sequence[int]) -> dict[int, int | None]:
    """Return the Optuna number of each finished trial of `trial_ids`."""
    over = (Trial.id.in_(trial_ids), Trial.state.in_(_FINISHED))
    rows = connection.execute(select(Trial.id, Trial.optuna_number).where(*over))
    return {row.id: row.optuna_number for row in rows}
