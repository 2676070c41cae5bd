"""Mirrors trials into Optuna's own tables, where its dashboard and its users find them.

Ours are the truth: a trial is recorded there first, and told to Optuna after. Every step can be
repeated, so that a worker that died between the two is caught up by the next one.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL

from search.space import parameter
from search.subsets import Subset
from storage.optuna_storage import open_optuna

_OURS = "trial"  # user attribute with our own trial id; Optuna's ids are reused on SQLite
_LIVE = (TrialState.RUNNING, TrialState.WAITING)


class Mirror:
    """The Optuna studies of one study file, one per depth.

    Args:
        url: URL of the store.
        names: name of the Optuna study by depth.
        layers: number of layers of the base.
    """

    def __init__(self, url: URL, names: Mapping[int, str], layers: int) -> None:
        self._storage = open_optuna(url)
        self._layers = layers
        self._begun: set[int] = set()
        self._studies = {
            depth: optuna.create_study(
                study_name=name,
                storage=self._storage,
                direction="maximize",
                load_if_exists=True,
                sampler=RandomSampler(0),  # never asked: our samplers read our own tables
            )
            for depth, name in names.items()
        }

    def has(self, depth: int) -> bool:
        """Whether this mirror was opened for `depth`."""
        return depth in self._studies

    def start(
        self, depth: int, trial_id: int, subset: Subset, number: int | None, *, fresh: bool = False
    ) -> int:
        """Show the trial as running, and return its Optuna number.

        Args:
            depth: depth of the trial.
            trial_id: our id of the trial.
            subset: its subset.
            number: its Optuna number, if it has one already.
            fresh: nobody has begun it before, so there is no need to look for one.
        """
        study = self._studies[depth]
        if number is None and (not fresh or trial_id in self._begun):
            number = self._find(study, trial_id)
        self._begun.add(trial_id)  # should the answer get lost, the next call looks for it
        if number is not None:
            with suppress(UpdateFinishedTrialError):  # finished by a worker thought dead
                self._storage.set_trial_state_values(self._id(study, number), TrialState.RUNNING)
            return number
        # whole at once: a trial that is suggested step by step can be left half suggested
        template = create_trial(
            state=TrialState.RUNNING,
            params={parameter(layer): int(layer in subset) for layer in range(self._layers)},
            distributions=self._distributions(),
            user_attrs={_OURS: trial_id, "subset": "_".join(map(str, subset))},
        )
        created = self._storage.create_new_trial(study._study_id, template)  # noqa: SLF001
        return self._storage.get_trial_number_from_id(created)

    def wait(self, depth: int, number: int) -> None:
        """Show the trial as waiting: it was given back."""
        study = self._studies[depth]
        with suppress(UpdateFinishedTrialError):  # finished by a worker thought dead
            self._storage.set_trial_state_values(self._id(study, number), TrialState.WAITING)

    def tell(self, depth: int, number: int, score: float | None) -> None:
        """Tell Optuna how the trial ended; `score` is None when it failed."""
        # not `study.tell`: that reads the whole trial several times, for samplers that are not here
        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        values = None if score is None else [score]
        with suppress(UpdateFinishedTrialError):  # another worker has told Optuna
            trial_id = self._id(self._studies[depth], number)
            self._storage.set_trial_state_values(trial_id, state, values)

    def live(self, depth: int) -> dict[int, int]:
        """Our trial id by number of those trials that Optuna shows as running or waiting."""
        return {
            trial.number: trial.user_attrs.get(_OURS, 0)
            for trial in self._live(self._studies[depth])
        }

    def drop(self, depth: int, numbers: Iterable[int]) -> None:
        """Show these trials as failed: workers died before they stood for anything."""
        for number in numbers:
            self.tell(depth, number, None)

    def close(self) -> None:
        """Close the connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _id(self, study: optuna.Study, number: int) -> int:
        study_id = study._study_id  # noqa: SLF001
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _find(self, study: optuna.Study, trial_id: int) -> int | None:
        """Number of the unfinished Optuna trial made for `trial_id` by a worker that died since."""
        for trial in self._live(study):
            if trial.user_attrs.get(_OURS) == trial_id:
                return trial.number
        return None

    def _live(self, study: optuna.Study) -> list[FrozenTrial]:
        # not `study.get_trials`: that reads every trial of the study first
        study_id = study._study_id  # noqa: SLF001
        return self._storage.get_all_trials(study_id, deepcopy=False, states=_LIVE)

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {parameter(layer): IntDistribution(0, 1) for layer in range(self._layers)}


def delete(url: URL, names: Iterable[str]) -> None:
    """Delete the Optuna studies `names` and all their rows; those that are not there are fine."""
    storage = open_optuna(url)
    try:
        for name in names:
            with suppress(KeyError):
                optuna.delete_study(study_name=name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()
