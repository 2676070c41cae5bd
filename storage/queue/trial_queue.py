"""The one door to the trials of a study: claim, renew, finish, give back."""

from collections.abc import Sequence

from sqlalchemy import Engine, case, func, select

from storage.database import (
    is_refusal,
    patient,
    read,
    reason_of,
    write,
    write_and_hang_up,
)
from storage.leaderboard.standings import refresh
from storage.queue import claims, mirroring, release
from storage.queue.claims import Claim, Holder, NewTrial
from storage.queue.lease import LEASE_SECONDS, Lease
from storage.queue.mirroring import UnmirroredTrial
from storage.queue.outbox import Outbox
from storage.queue.results import Result, write_result
from storage.queue.worker_id import WorkerId
from storage.schema import Depth, Trial
from storage.states import Origin, TrialState
from storage.studies import StudyRecord, add_depth
from storage.trials import seeds_by_subset
from storage.values.subset_key import Subset


class TrialQueue:
    """The trials of one study, as one worker sees them.

    Every method may be repeated: a call whose answer got lost is made again, and nothing happens
    twice. All but three wait out an outage of the database of up to ten minutes: `renew`, which its
    thread repeats, and `give_back` and `give_back_all`, which must not hold up a worker that ends.

    Args:
        engine: the store.
        study: the study.
        worker: the worker that claims; the process that calls when left out.
        lease: seconds that a claim lasts without being renewed.
    """

    def __init__(
        self,
        engine: Engine,
        study: StudyRecord,
        worker: WorkerId | None = None,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self._engine = engine
        self._study = study
        self._study_id = study.id
        self._worker = worker
        self._lease = lease
        self._outbox = Outbox(study.uid, study.id)

    @property
    def _holder(self) -> Holder:
        """The worker that calls: after a fork, child and parent are two."""
        return Holder(self._study_id, self._worker or WorkerId.current(), self._lease)

    # claim

    @patient
    def claim(self, trial: NewTrial) -> Claim:
        """Begin a new trial, held by this worker.

        Raises:
            BudgetSpentError: the depth has no trial left that its budget counts.
            ClaimTakenError: there is a trial of this (subset, seed) already.
            InputError: the study was deleted.
        """
        with write(self._engine) as connection:
            return claims.begin_trial(connection, self._holder, trial)

    @patient
    def take_over(self, depths: Sequence[int], *, reference: bool = False) -> Claim | None:
        """Claim a trial of `depths` that was given back or whose worker is gone, if there is one.

        The worker is gone when its lease has run out.

        Args:
            depths: trials of these depths.
            reference: whether trials of the reference are taken, too.
        """
        with write(self._engine) as connection:
            return claims.take_idle(connection, self._holder, depths, reference=reference)

    @patient
    def reopen(self, subset: Subset, seed: int) -> Claim | None:
        """Claim the trial of (subset, seed) if it is idle or has failed."""
        with write(self._engine) as connection:
            return claims.reopen(connection, self._holder, subset, seed)

    @patient
    def add_reference(self, trials: Sequence[NewTrial]) -> None:
        """Let workers take trials of the reference; trials of it that are there count as some.

        Args:
            trials: trials of the whole base, with the seeds that it shall have.

        Raises:
            InputError: the study was deleted.
        """
        whole = trials[0].subset
        used = seeds_by_subset(self._engine, self._study_id, [whole]).get(whole, set())
        missing = [trial for trial in trials if trial.seed not in used]
        if wanted := missing[: max(0, len(trials) - len(used))]:
            add_depth(self._engine, self._study, len(whole))
            claims.enqueue(self._engine, self._study_id, wanted)

    # hold

    def lease(self, claim: Claim) -> Lease:
        """Return a context that renews `claim` in the background."""
        return Lease(lambda: self.renew(claim), self._lease, claim.key)

    def renew(self, claim: Claim) -> bool:
        """Extend the lease of `claim`; False when the claim is no longer ours.

        On a connection that is closed after it: a worker that computes for long holds none.
        """
        with write_and_hang_up(self._engine) as connection:
            return claims.renew(connection, claim, self._lease)

    def give_back(self, claim: Claim, broke: str | None = None) -> int | None:
        """Give `claim` back, so that any worker can take it at once.

        Args:
            claim: the claim.
            broke: the unforeseen error that ended it, which counts against the trial.

        Returns:
            Its Optuna number; None when it has none, or when the claim was no longer ours.
        """
        with write(self._engine) as connection:
            return release.give_back(connection, claim, broke)

    def give_back_all(self) -> None:
        """Give back every trial that this worker still holds."""
        with write(self._engine) as connection:
            release.give_back_all(connection, self._holder)

    # finish

    def finish(self, claim: Claim, result: Result) -> bool:
        """Keep `result` on this machine, write it to the store, and let go of the copy.

        A result that the store will never take is recorded as a failure, with the reason.

        Returns:
            Whether it counts; False when another worker had finished the trial.
        """
        kept = self._outbox.keep(claim, result)
        try:
            counts = self._write(claim, result)
        except Exception as error:
            if not is_refusal(error):
                raise
            reason = f"the store cannot hold its scores: {reason_of(error)}"
            if kept is not None:
                self._outbox.set_aside(kept, reason)
            return self._write(claim, Result(None, error=reason))

        if kept is not None:
            self._outbox.let_go(kept)
        return counts

    def deliver(self) -> int:
        """Write the results that workers of this machine left, and return how many counted."""
        return self._outbox.deliver(self._write)

    @patient
    def _write(self, claim: Claim, result: Result) -> bool:
        """Write `result` to the store, and return whether it counts."""
        with write(self._engine) as connection:
            return write_result(connection, claim, result)

    @patient
    def refresh_standings(self, depth: int) -> None:
        """Store the variances of the leaderboard that new results made out of date.

        All depths are compared with the reference: a result of it concerns them all.
        """
        is_reference = depth == self._study.layers
        for number in [depth, *self._study.budgets] if is_reference else [depth]:
            refresh(self._engine, self._study_id, number)

    @patient
    def release_dead(self) -> int:
        """Give back the trials of workers of this host that have ended, and return how many."""
        return release.release_dead(self._engine, self._study_id)

    # count

    @patient
    def remaining(self, depth: int) -> int:
        """Return the number of trials of `depth` that may still be claimed."""
        here = (Depth.study_id == self._study_id, Depth.depth == depth)
        with read(self._engine) as connection:
            row = connection.execute(select(Depth.budget, Depth.taken).where(*here)).first()
        return 0 if row is None else max(0, row.budget - row.taken)

    @patient
    def unfinished(self, depths: Sequence[int], *, reference: bool = False) -> int:
        """Return the number of trials of `depths` that are running or waiting.

        Args:
            depths: trials of these depths.
            reference: whether trials of the reference count, too.
        """
        live = Trial.state.in_((TrialState.RUNNING, TrialState.WAITING))
        wanted = claims.is_wanted(depths, reference=reference)
        here = (Trial.study_id == self._study_id, wanted, live)
        with read(self._engine) as connection:
            return connection.execute(select(func.count()).where(*here)).scalar_one()

    @patient
    def references(self) -> tuple[int, int]:
        """Return how many trials of the reference have ended, and how many there are."""
        ended = Trial.state.in_((TrialState.COMPLETE, TrialState.FAILED))
        here = (Trial.study_id == self._study_id, Trial.origin == Origin.REFERENCE)
        query = select(func.count(case((ended, 1))), func.count()).where(*here)
        with read(self._engine) as connection:
            done, total = connection.execute(query).one()
        return done, total

    @patient
    def running_beside(self) -> int:
        """Return how many trials, of all studies, other workers of this host run now."""
        worker = self._holder.worker
        with read(self._engine) as connection:
            return claims.count_running(connection, worker.host, worker)

    @patient
    def state(self, subset: Subset, seed: int) -> TrialState | None:
        """Return the state of the trial of (subset, seed); None when there is none."""
        same = (Trial.study_id == self._study_id, Trial.subset == subset, Trial.seed == seed)
        with read(self._engine) as connection:
            return connection.execute(select(Trial.state).where(*same)).scalar()

    # mirror

    @patient
    def link(self, claim: Claim, optuna_number: int) -> bool:
        """Link a claimed trial to an Optuna trial; False when the claim is no longer ours."""
        with write(self._engine) as connection:
            return mirroring.link_claim(connection, claim, optuna_number)

    @patient
    def link_finished(self, trial_id: int, optuna_number: int) -> int:
        """Link a finished trial to an Optuna trial unless it has one; return the one it has."""
        with write(self._engine) as connection:
            return mirroring.link_finished(connection, trial_id, optuna_number)

    @patient
    def unmirrored(self) -> list[UnmirroredTrial]:
        """Return the finished trials whose end Optuna does not know yet."""
        with read(self._engine) as connection:
            return mirroring.unmirrored(connection, self._study_id)

    @patient
    def mark_mirrored(self, trial_id: int) -> None:
        """Remember that Optuna knows the end of this trial."""
        with write(self._engine) as connection:
            mirroring.mark_mirrored(connection, trial_id)

    @patient
    def finished_numbers(self, trial_ids: Sequence[int]) -> dict[int, int | None]:
        """Return the Optuna number of each finished trial of `trial_ids`."""
        with read(self._engine) as connection:
            return mirroring.finished_numbers(connection, trial_ids)
