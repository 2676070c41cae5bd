"""Samplers that search the same landscapes: this project's, Optuna's own, and a swap evolution.

Optuna's samplers run in their best encodings of "K of N". Each rival is asked for a subset and told
its score, so that all run the same loop. A repeat is allowed: it is what Optuna's samplers do, and
its trial counts.
"""

import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler

from search import samplers
from search.analysis.answer import find_answer
from search.observation import Observation
from search.space import LayerSpace, Subset
from search.study.plan import DepthPlan
from search.study.proposal import propose_trial
from search.surrogate import Surrogate

AUTO = "gp, auto replicates"
OWN_NAMES = ("gp", AUTO, "swap", "tpe", "uniform")
OPTUNA_NAMES = ("tpe priorities", "cma-es priorities", "gp priorities", "tpe slots")
SWAP_EVOLUTION = "swap evolution"
RIVALS = (*OWN_NAMES, *OPTUNA_NAMES, SWAP_EVOLUTION)
"""Names of all rivals."""

_MOST_SWAPS = 3  # of one mutation; the lesser of two draws counts, so that most have one


class Rival(ABC):
    """Something that searches a space."""

    @abstractmethod
    def ask(self) -> tuple[int, Subset]:
        """Return a ticket, and the subset to try next."""

    def seed(self, ticket: int) -> int:
        """Return the seed of the trial that was asked for; the same trial scores the same."""
        return 0

    @abstractmethod
    def tell(self, ticket: int, score: float) -> None:
        """Take in the score of the trial that was asked for."""

    @abstractmethod
    def answer(self) -> Subset:
        """Return the subset it would keep now."""


class OwnSampler(Rival):
    """One of this project's samplers; its answer is that of the study.

    Args:
        name: name of the sampler.
        space: the space.
        seed: seed of the sampler.
        others: trials of other depths.
        **options: options of the sampler.
    """

    def __init__(
        self,
        name: str,
        space: LayerSpace,
        seed: int,
        others: Sequence[Observation] = (),
        **options: Any,
    ) -> None:
        self.sampler = samplers.load(name)(space, seed=seed, **options)
        own = getattr(self.sampler, "surrogate", None)
        self.surrogate = own if isinstance(own, Surrogate) else Surrogate(space)
        self.others = list(others)
        self.history: list[Observation] = []

    def ask(self) -> tuple[int, Subset]:
        """Return a ticket, and the sampler's proposal."""
        subset = self.sampler.next_subset([*self.others, *self.history])
        return self._begin(subset), subset

    def _begin(self, subset: Subset, seed: int = 0) -> int:
        """Put a pending trial into the history, and return its ticket."""
        self.history.append(Observation(subset, is_pending=True, seed=seed))
        return len(self.history) - 1

    def tell(self, ticket: int, score: float) -> None:
        """Put the score into the history."""
        begun = self.history[ticket]
        self.history[ticket] = Observation(begun.subset, score, seed=begun.seed)

    def answer(self) -> Subset:
        """Return the tried subset with the best posterior mean."""
        found = find_answer(self.surrogate, [*self.others, *self.history])
        return found.subset if found else self.history[0].subset


class AutoReplicates(OwnSampler):
    """`gp` with automatic replicates, as a study runs it.

    Args:
        space: the space.
        seed: seed of the sampler.
        trials: budget of the study.
        others: trials of other depths.
        **options: options of the sampler.
    """

    def __init__(
        self,
        space: LayerSpace,
        seed: int,
        trials: int,
        others: Sequence[Observation] = (),
        **options: Any,
    ) -> None:
        super().__init__("gp", space, seed, others, **options)
        self.trials = trials
        self.plan = DepthPlan(space, self.sampler, "gp", first=(), seed=0, replicates="auto")
        self.surrogate = self.plan.surrogate

    def ask(self) -> tuple[int, Subset]:
        """Return a ticket, and the subset that the study tries next."""
        left = self.trials - len(self.history)
        trial = propose_trial(self.plan, self.history, left, self.others)
        return self._begin(trial.subset, trial.seed), trial.subset

    def seed(self, ticket: int) -> int:
        """Return the seed of the trial: the next one of a subset that is repeated."""
        return self.history[ticket].seed


class OptunaSampler(Rival):
    """A sampler of Optuna; its answer is the study's best trial, as its users take it.

    Args:
        sampler: the sampler.
        space: the space.
        encoding: `priorities` or `slots`.
    """

    def __init__(self, sampler: BaseSampler, space: LayerSpace, encoding: str) -> None:
        self.space = space
        self.encoding = encoding
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.trials: dict[int, optuna.Trial] = {}
        self.subsets: dict[int, Subset] = {}

    def ask(self) -> tuple[int, Subset]:
        """Return a ticket, and the decoded suggestion of the sampler."""
        trial = self.study.ask()
        decode = self._priorities if self.encoding == "priorities" else self._slots
        subset = decode(trial)

        self.trials[trial.number] = trial
        self.subsets[trial.number] = subset
        return trial.number, subset

    def tell(self, ticket: int, score: float) -> None:
        """Tell the study."""
        self.study.tell(self.trials.pop(ticket), score)

    def answer(self) -> Subset:
        """Return the subset of the best trial."""
        return self.subsets[self.study.best_trial.number]

    def _priorities(self, trial: optuna.Trial) -> Subset:
        """Suggest one float a layer, and return the valid subset with the largest sum."""
        wanted = [trial.suggest_float(f"p{i:02d}", 0.0, 1.0) for i in range(self.space.layers)]
        return self.space.closest(lambda _, layer: -wanted[layer])

    def _slots(self, trial: optuna.Trial) -> Subset:
        """Suggest one layer a position, and return the valid subset that keeps most of them."""
        choices = list(range(self.space.layers))
        named = {
            trial.suggest_categorical(f"slot{i:02d}", choices) for i in range(self.space.depth)
        }
        return self.space.decode([int(layer in named) for layer in choices])


class SwapEvolution(Rival):
    """A (1 + 8) evolution, mostly by single swaps, after EvoPress (Sieberling et al. 2024).

    Args:
        space: the space.
        seed: seed of the mutations.
        offspring: trials of one generation.
    """

    def __init__(self, space: LayerSpace, seed: int, offspring: int = 8) -> None:
        self.space = space
        self.offspring = offspring
        self.rng = random.Random(seed)
        self.parent: tuple[float, Subset] | None = None
        self.asked: list[Subset] = []
        self.scored: list[tuple[float, Subset]] = []

    def ask(self) -> tuple[int, Subset]:
        """Return a ticket, and a mutation of the parent; a random subset before there is one."""
        subset = self.space.sample(self.rng)
        if self.parent is not None:
            subset = self.parent[1]
            swaps = min(self.rng.randint(1, _MOST_SWAPS), self.rng.randint(1, _MOST_SWAPS))
            for _ in range(swaps):
                subset = self.rng.choice(self.space.neighbours(subset) or [subset])

        self.asked.append(subset)
        return len(self.asked) - 1, subset

    def tell(self, ticket: int, score: float) -> None:
        """Take in a score; once a generation is complete, the best trial so far is the parent."""
        self.scored.append((score, self.asked[ticket]))
        if len(self.scored) % self.offspring == 0:
            self.parent = max(self.scored)

    def answer(self) -> Subset:
        """Return the subset with the best score."""
        return max(self.scored)[1]


def make_rival(name: str, space: LayerSpace, seed: int, trials: int = 100) -> Rival:
    """Return a rival.

    Args:
        name: one of `RIVALS`.
        space: the space it searches.
        seed: its seed.
        trials: budget of the search.
    """
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if name == AUTO:
        return AutoReplicates(space, seed, trials)
    if name in OWN_NAMES:
        return OwnSampler(name, space, seed)
    if name == SWAP_EVOLUTION:
        return SwapEvolution(space, seed)

    kind, encoding = name.split(" ")
    return OptunaSampler(_optuna_sampler(kind, seed), space, encoding)


def _optuna_sampler(kind: str, seed: int) -> BaseSampler:
    """Return one of Optuna's own samplers."""
    if kind == "tpe":
        return TPESampler(seed=seed, multivariate=True)
    if kind == "cma-es":
        return CmaEsSampler(seed=seed)
    return GPSampler(seed=seed)
