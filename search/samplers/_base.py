"""What all samplers share: the history they learn from and the face they show to Optuna."""

import random
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from search.errors import SpaceExhaustedError
from search.space import LayerSpace, parameter
from search.subsets import Subset

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


State = Literal["waiting", "running", "complete", "failed"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as a sampler sees it; `score` is None unless the trial is complete."""

    subset: Subset
    state: State
    score: float | None = None
    seed: int = 0


_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "failed",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class SubsetSampler(BaseSampler):
    """An Optuna sampler over the subsets of one `LayerSpace`.

    It keeps no state: what it proposes follows from the seed and the recorded trials alone, so any
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
        self._foreign = RandomSampler(seed)

    @abstractmethod
    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """The subset to try next: a member of the space that is not in `history`.

        Args:
            history: all trials so far, in the order they were started.
            rng: the only source of chance, seeded anew for each proposal.

        Raises:
            SpaceExhaustedError: every member has been tried.
        """

    def next_subset(self, history: Sequence[Observation]) -> Subset:
        """`propose` with chance drawn from the seed and the length of `history`."""
        rng = random.Random(f"{self.seed}:{len(history)}")  # noqa: S311 - reproducible, not secret
        return self.propose(history, rng)

    def infer_relative_search_space(
        self,
        study: "Study",  # noqa: ARG002 - Optuna's signature
        trial: "FrozenTrial",  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """One 0/1 parameter per layer of the base, the same for every depth."""
        return {parameter(layer): IntDistribution(0, 1) for layer in range(self.space.layers)}

    def sample_relative(
        self,
        study: "Study",
        trial: "FrozenTrial",
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - always the one above
    ) -> dict[str, Any]:
        """The parameters of the next subset. In an exhausted space: stop and repeat the first."""
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
    ) -> Any:  # noqa: ANN401 - Optuna's signature
        """A random value for a parameter that does not belong to the space."""
        return self._foreign.sample_independent(study, trial, param_name, param_distribution)

    def _history(self, study: "Study", number: int) -> list[Observation]:
        """The trials of `study` before `number` whose parameters are subsets of this base."""
        history = []
        for trial in study.get_trials(deepcopy=False):
            subset = self.space.decode_parameters(trial.params)
            if trial.number < number and subset is not None:
                complete = trial.state is TrialState.COMPLETE
                state = _STATES[trial.state]
                history.append(Observation(subset, state, trial.value if complete else None))
        return history


def unseen(space: LayerSpace, history: Sequence[Observation], rng: random.Random) -> Subset:
    """A member of `space` that is not in `history`, drawn exactly uniformly, without rejection.

    Raises:
        SpaceExhaustedError: there is none.
    """
    seen = _seen(space, history)
    return _skipping(space, seen, rng.randrange(space.count - len(seen)))


def several_unseen(
    space: LayerSpace, history: Sequence[Observation], rng: random.Random, number: int
) -> list[Subset]:
    """At most `number` different members that are not in `history`, drawn uniformly, ascending.

    Raises:
        SpaceExhaustedError: there is none.
    """
    seen = _seen(space, history)
    left = space.count - len(seen)
    places = rng.sample(range(left), min(number, left))
    return sorted(_skipping(space, seen, place) for place in places)


def first_unseen(space: LayerSpace, history: Sequence[Observation]) -> Subset:
    """The first member of `space`, in lexicographic order, that is not in `history`.

    Raises:
        SpaceExhaustedError: there is none.
    """
    return _skipping(space, _seen(space, history), 0)


def _seen(space: LayerSpace, history: Sequence[Observation]) -> list[int]:
    """Ranks of the members in `history`, ascending; never all of them."""
    seen = sorted({space.rank(trial.subset) for trial in history if trial.subset in space})
    if len(seen) == space.count:
        message = f"all {space.count} subsets of the space have been tried"
        raise SpaceExhaustedError(message)
    return seen


def _skipping(space: LayerSpace, seen: list[int], place: int) -> Subset:
    """The member at `place`, from 0, among those whose rank is not in `seen`."""
    # it lies one further for each seen one before it: seen[i] has seen[i] - i unseen ones before it
    before = bisect_right(range(len(seen)), place, key=lambda i: seen[i] - i)
    return space.unrank(place + before)
