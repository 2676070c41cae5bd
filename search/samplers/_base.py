"""The base class of all samplers: the face they show to Optuna."""

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from search.errors import SpaceExhaustedError
from search.observation import Observation
from search.space import LayerSpace, Subset, parameter_name

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_PENDING = (TrialState.RUNNING, TrialState.WAITING)


class SubsetSampler(BaseSampler):
    """An Optuna sampler over the subsets of one `LayerSpace`.

    It keeps no state: its proposal follows from the seed and the recorded trials alone, so any
    worker on any machine can go on where another stopped.

    Args:
        space: the space that is searched.
        seed: the same seed and history give the same proposal.
    """

    transfer: bool = False
    """Whether it also learns from trials of other depths, when its history holds some."""

    def __init__(self, space: LayerSpace, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed
        self._independent = RandomSampler(seed)

    @abstractmethod
    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return the subset to try next: a member of the space that is not in `history`.

        Args:
            history: all trials so far, in the order they were started.
            rng: the only source of chance, seeded anew for each proposal.

        Raises:
            SpaceExhaustedError: every member has been tried.
        """

    def next_subset(self, history: Sequence[Observation]) -> Subset:
        """Call `propose` with chance drawn from the seed and the length of `history`."""
        return self.propose(history, random.Random(f"{self.seed}:{len(history)}"))

    def infer_relative_search_space(
        self, study: "Study", trial: "FrozenTrial"
    ) -> dict[str, BaseDistribution]:
        """Return one 0/1 parameter per layer of the base, the same for every depth."""
        return {parameter_name(layer): IntDistribution(0, 1) for layer in range(self.space.layers)}

    def sample_relative(
        self, study: "Study", trial: "FrozenTrial", search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of the next subset.

        In an exhausted space it stops the study, and repeats the first subset for this last trial.
        """
        history = self._history(study, trial.number)
        try:
            return self.space.encode(self.next_subset(history))
        except SpaceExhaustedError:
            study.stop()
            repeated = next(past.subset for past in history if past.subset in self.space)
            return self.space.encode(repeated)

    def sample_independent(
        self,
        study: "Study",
        trial: "FrozenTrial",
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a random value for a parameter that does not belong to the space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _history(self, study: "Study", number: int) -> list[Observation]:
        """Return the trials of `study` before `number` whose parameters are subsets of the base."""
        history = []
        for trial in study.get_trials(deepcopy=False):
            subset = self.space.decode_parameters(trial.params)
            if trial.number < number and subset is not None:
                score = trial.value if trial.state is TrialState.COMPLETE else None
                history.append(Observation(subset, score, trial.state in _PENDING))
        return history
