"""The sampler `tpe`: Optuna's tree-structured Parzen estimator, over one 0/1 parameter a layer."""

import math
import random
from collections.abc import Sequence
from typing import Annotated

import optuna
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial
from pydantic import Field

from search.errors import InputError
from search.observation import Observation
from search.samplers._base import SubsetSampler
from search.samplers._untried import draw_untried
from search.space import LayerSpace, Subset, parameter_name
from storage.values.bounds import LARGEST_INTEGER

_ATTEMPTS = 8  # proposals that decode to a tried subset before one is drawn; a heuristic


class TPESampler(SubsetSampler):
    """Optuna's `TPESampler`; its proposals are decoded to the closest valid subset.

    The decoded subset is recorded, so the estimator learns from the subset that was really tried.

    Args:
        space: the space that is searched.
        seed: the same seed and history give the same proposal.
        startup: trials drawn at random before the estimator is used; Optuna's own default.
        multivariate: whether the layers are modelled together.
    """

    def __init__(
        self,
        space: LayerSpace,
        *,
        seed: int = 0,
        startup: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] = 10,
        multivariate: bool = False,
    ) -> None:
        super().__init__(space, seed=seed)
        if startup < 0:
            message = f"tpe takes startup >= 0, not {startup}"
            raise InputError(message)
        self.startup = startup
        self.multivariate = multivariate

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return the estimator's proposal; a uniform draw when it only repeats itself."""
        if len(history) < self.startup:
            return draw_untried(self.space, history, rng)

        tried = {trial.subset for trial in history}
        study = self._replayed(history, rng)
        for _ in range(_ATTEMPTS):
            subset = self.space.suggest(study.ask())
            if subset not in tried:
                return subset
        return draw_untried(self.space, history, rng)

    def _replayed(self, history: Sequence[Observation], rng: random.Random) -> optuna.Study:
        """Return an in-memory study that holds `history` and samples with Optuna's own TPE."""
        estimator = optuna.samplers.TPESampler(
            n_startup_trials=self.startup,
            multivariate=self.multivariate,
            seed=rng.randrange(2**31),
        )

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # or each proposal announces a study
        try:
            study = optuna.create_study(direction="maximize", sampler=estimator)
        finally:
            optuna.logging.set_verbosity(level)

        layers = range(self.space.layers)
        distributions = {parameter_name(layer): IntDistribution(0, 1) for layer in layers}
        for trial in history:
            if trial.score is not None and math.isfinite(trial.score):
                replayed = create_trial(
                    state=TrialState.COMPLETE,
                    value=trial.score,
                    params=self.space.encode(trial.subset),
                    distributions=dict(distributions),
                )
                study.add_trial(replayed)
        return study
