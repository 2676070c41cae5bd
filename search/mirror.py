"""Mirrors trials into Optuna's own tables, where its dashboard and its users find them.

Ours are the truth: a trial is recorded there first, and told to Optuna after. Every step can be
repeated, so that a worker that died between the two is caught up by the next one.
"""

from collections.abc import Mapping
from contextlib import suppress

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial
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

    def start(self, depth: int, trial_id: int, subset: Subset, number: int | None) -> int:
        """Show the trial as running, and return its Optuna number.

        Args:
            depth: depth of the trial.
            trial_id: our id of the trial.
            subset: its subset.
            number: its Optuna number, if it has one already.
        """
        study = self._studies[depth]
        if number is None:
            number = self._find(study, trial_id)
        if number is not None:
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
        self._storage.set_trial_state_values(self._id(study, number), TrialState.WAITING)

    def tell(self, depth: int, number: int, score: float | None) -> None:
        """Tell Optuna how the trial ended; `score` is None when it failed."""
        study = self._studies[depth]
        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        with suppress(UpdateFinishedTrialError):  # another worker told Optuna since our look
            trial_id = self._id(study, number)
            if self._storage.get_trial(trial_id).state is TrialState.WAITING:
                # given back, and finished late by its first worker
                self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            study.tell(number, score, state=state, skip_if_finished=True)

    def close(self) -> None:
        """Close the connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _id(self, study: optuna.Study, number: int) -> int:
        study_id = study._study_id  # noqa: SLF001
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _find(self, study: optuna.Study, trial_id: int) -> int | None:
        """Number of the unfinished Optuna trial made for `trial_id` by a worker that died since."""
        # not `study.get_trials`: that reads every trial of the study first
        study_id = study._study_id  # noqa: SLF001
        live = self._storage.get_all_trials(study_id, deepcopy=False, states=_LIVE)
        for trial in live:
            if trial.user_attrs.get(_OURS) == trial_id:
                return trial.number
        return None

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {parameter(layer): IntDistribution(0, 1) for layer in range(self._layers)}
