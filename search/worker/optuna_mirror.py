"""The mirror of our trials in Optuna's own tables, where its dashboard and its users find them.

Our tables are the truth: a trial is recorded there first, and mirrored after. Every step can
be repeated, so that a worker that died between the two is caught up by the next one.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL

from search.space import Subset, format_subset, parameter_name
from storage.database import patient
from storage.database.optuna_storage import open_optuna
from storage.queue import Claim, TrialQueue, UnmirroredTrial
from storage.studies import StudyRecord, optuna_name

_TRIAL_ID = "trial"  # user attribute with our own number; Optuna's are used again on SQLite
_LIVE = (TrialState.RUNNING, TrialState.WAITING)


class OptunaMirror:
    """The Optuna studies of one study, one per depth, and the trials in them.

    Its public methods wait out an outage of the database, but for `show_waiting`.

    Args:
        url: URL of the store.
        study: the study.
        depths: depths to open.
        queue: the trials of the study.
    """

    def __init__(
        self, url: URL, study: StudyRecord, depths: Iterable[int], queue: TrialQueue
    ) -> None:
        self._storage = open_optuna(url)
        self._layers = study.layers
        self._queue = queue
        self._begun: set[int] = set()

        self._studies = {
            depth: optuna.create_study(
                study_name=optuna_name(study.name, depth),
                storage=self._storage,
                direction="maximize",
                load_if_exists=True,
                sampler=RandomSampler(0),  # never asked: our samplers read our own tables
            )
            for depth in depths
        }

    def show(self, claim: Claim) -> None:
        """Show a claimed trial as running, and link it."""
        is_fresh = claim.token == 1  # nobody has begun it before: no need to look for one
        number = self._start(claim.trial_id, claim.subset, claim.optuna_number, is_fresh=is_fresh)
        self._queue.link(claim, number)

    def show_waiting(self, depth: int, number: int) -> None:
        """Show the trial with this Optuna number as waiting: it was given back."""
        self._set_state(depth, number, TrialState.WAITING)

    def catch_up(self) -> None:
        """Tell Optuna about every finished trial whose end it does not know."""
        for trial in self._queue.unmirrored():
            if trial.depth in self._studies:
                self._tell(trial)

    def close_stale(self) -> None:
        """Show as failed every live Optuna trial whose own trial has ended as another one.

        Workers left them that died between making an Optuna trial and linking it.
        """
        for depth in self._studies:
            live = self._live_by_number(depth)
            finished = self._queue.finished_numbers(list(live.values()))
            for number, trial_id in live.items():
                if trial_id in finished and finished[trial_id] != number:
                    self._end(depth, number, None)

    def close(self) -> None:
        """Close the connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _tell(self, trial: UnmirroredTrial) -> None:
        """Tell Optuna how one trial ended."""
        number = trial.optuna_number
        if number is None:  # its worker died before Optuna heard of it
            made = self._start(trial.trial_id, trial.subset, None)
            number = self._queue.link_finished(trial.trial_id, made)
            if number != made:  # another worker was telling it too
                self._end(trial.depth, made, None)

        self._end(trial.depth, number, trial.mean)
        self._queue.mark_mirrored(trial.trial_id)

    @patient
    def _start(
        self, trial_id: int, subset: Subset, number: int | None, *, is_fresh: bool = False
    ) -> int:
        """Show a trial as running, and return its Optuna number.

        Args:
            trial_id: our number of the trial.
            subset: its subset.
            number: its Optuna number, if it has one already.
            is_fresh: whether nobody has begun it before.
        """
        study = self._studies[len(subset)]
        if number is None and (not is_fresh or trial_id in self._begun):
            number = self._find(study, trial_id)
        self._begun.add(trial_id)  # should the answer get lost, the next call looks for it
        if number is not None:
            self._set_state(len(subset), number, TrialState.RUNNING)
            return number

        # whole at once: a trial that is suggested step by step can be left half suggested
        names = [parameter_name(layer) for layer in range(self._layers)]
        distributions: dict[str, BaseDistribution] = {name: IntDistribution(0, 1) for name in names}
        template = create_trial(
            state=TrialState.RUNNING,
            params={name: int(layer in subset) for layer, name in enumerate(names)},
            distributions=distributions,
            user_attrs={_TRIAL_ID: trial_id, "subset": format_subset(subset)},
        )
        created = self._storage.create_new_trial(_id_of(study), template)
        return self._storage.get_trial_number_from_id(created)

    @patient
    def _end(self, depth: int, number: int, score: float | None) -> None:
        """Show a trial as ended; `score` is None when it failed."""
        # not `study.tell`: that reads the whole trial several times, for samplers that are not here
        if score is None:
            self._set_state(depth, number, TrialState.FAIL)
        else:
            self._set_state(depth, number, TrialState.COMPLETE, [score])

    def _set_state(
        self, depth: int, number: int, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        """Set state and score of a trial, unless another worker has finished it."""
        study_id = _id_of(self._studies[depth])
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(trial_id, state, values)

    def _find(self, study: optuna.Study, trial_id: int) -> int | None:
        """Return the number of a live Optuna trial that a dead worker made for `trial_id`."""
        for trial in self._live(study):
            if trial.user_attrs.get(_TRIAL_ID) == trial_id:
                return trial.number
        return None

    @patient
    def _live_by_number(self, depth: int) -> dict[int, int]:
        """Return our number of each trial that Optuna shows as running or waiting, by its own."""
        return {
            trial.number: trial.user_attrs.get(_TRIAL_ID, 0)
            for trial in self._live(self._studies[depth])
        }

    def _live(self, study: optuna.Study) -> list[FrozenTrial]:
        """Return the trials that Optuna shows as running or waiting."""
        # not `study.get_trials`: that reads every trial of the study first
        return self._storage.get_all_trials(_id_of(study), deepcopy=False, states=_LIVE)


def _id_of(study: optuna.Study) -> int:
    """Return the number of a study in Optuna's own tables."""
    return study._study_id  # noqa: SLF001 - Optuna has no public name for it


def delete_mirrored(url: URL, names: Iterable[str]) -> None:
    """Delete Optuna studies and all their rows; a name that is not there is fine.

    Args:
        url: URL of the store.
        names: names of the Optuna studies.
    """
    storage = open_optuna(url)
    try:
        for name in names:
            with suppress(KeyError):
                optuna.delete_study(study_name=name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()
