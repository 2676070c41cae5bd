"""Optuna's own samplers in their best encodings of "K of N", and a swap evolution, as rivals.

Each rival is asked for a subset and told its score, so that all run the same loop. A repeat is
allowed: it is what these samplers do, and its trial counts.
"""

import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler

from search import samplers
from search.answer import answer
from search.job import DepthPlan
from search.proposal import propose
from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import Surrogate


class Rival(ABC):
    """Something that searches a space."""

    @abstractmethod
    def ask(self) -> tuple[int, Subset]:
        """A ticket, and the subset to try next."""

    def seed(self, ticket: int) -> int:  # noqa: ARG002
        """The seed of what was asked; a subset and a seed always score the same."""
        return 0

    @abstractmethod
    def tell(self, ticket: int, score: float) -> None:
        """The score of what was asked."""

    @abstractmethod
    def answer(self) -> Subset:
        """The subset it would keep now."""


class Ours(Rival):
    """One of this project's samplers; its answer is the study's."""

    def __init__(
        self,
        name: str,
        space: LayerSpace,
        seed: int,
        others: Sequence[Observation] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.sampler = samplers.load(name)(space, seed=seed, **options)
        own = getattr(self.sampler, "surrogate", None)
        self.surrogate = own if isinstance(own, Surrogate) else Surrogate(space)
        self.others = list(others)
        self.history: list[Observation] = []

    def ask(self) -> tuple[int, Subset]:
        """What the sampler proposes."""
        subset = self.sampler.next_subset([*self.others, *self.history])
        self.history.append(Observation(subset, "running"))
        return len(self.history) - 1, subset

    def tell(self, ticket: int, score: float) -> None:
        """Put the score into the history."""
        begun = self.history[ticket]
        self.history[ticket] = Observation(begun.subset, "complete", score, begun.seed)

    def answer(self) -> Subset:
        """The subset with the best posterior."""
        found = answer(self.surrogate, [*self.others, *self.history])
        return found.subset if found else self.history[0].subset


class Automatic(Ours):
    """`gp` with automatic replicates, as a study of so many trials runs it."""

    def __init__(
        self,
        space: LayerSpace,
        seed: int,
        trials: int,
        others: Sequence[Observation] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__("gp", space, seed, others, **options)
        self.trials = trials
        self.plan = DepthPlan(space, self.sampler, "gp", (), 0, "auto")
        self.surrogate = self.plan.judge

    def ask(self) -> tuple[int, Subset]:
        """What the study tries next."""
        chosen = propose(self.plan, self.history, self.trials - len(self.history), self.others)
        self.history.append(Observation(chosen.subset, "running", None, chosen.seed))
        return len(self.history) - 1, chosen.subset

    def seed(self, ticket: int) -> int:
        """The next seed of a subset that is repeated."""
        return self.history[ticket].seed


class Optunas(Rival):
    """A sampler of Optuna; its answer is the study's best trial, as its users take it."""

    def __init__(self, sampler: BaseSampler, space: LayerSpace, encoding: str) -> None:
        self.space, self.encoding = space, encoding
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.trials: dict[int, optuna.Trial] = {}
        self.subsets: dict[int, Subset] = {}

    def ask(self) -> tuple[int, Subset]:
        """Decode what the sampler suggests."""
        trial = self.study.ask()
        decode = self._priorities if self.encoding == "priorities" else self._slots
        subset = decode(trial)
        self.trials[trial.number], self.subsets[trial.number] = trial, subset
        return trial.number, subset

    def tell(self, ticket: int, score: float) -> None:
        """Tell the study."""
        self.study.tell(self.trials.pop(ticket), score)

    def answer(self) -> Subset:
        """The subset of the best trial."""
        return self.subsets[self.study.best_trial.number]

    def _priorities(self, trial: optuna.Trial) -> Subset:
        """One float a layer; the valid subset with the largest sum is taken (top K when free)."""
        wanted = [trial.suggest_float(f"p{i:02d}", 0.0, 1.0) for i in range(self.space.layers)]
        return self.space.closest(lambda _, layer: -wanted[layer])

    def _slots(self, trial: optuna.Trial) -> Subset:
        """One categorical a position; the valid subset that keeps most of the layers named."""
        choices = list(range(self.space.layers))
        named = {
            trial.suggest_categorical(f"slot{i:02d}", choices) for i in range(self.space.depth)
        }
        return self.space.decode([int(layer in named) for layer in choices])


class SwapEvolution(Rival):
    """A (1 + 8) evolution, mostly by single swaps, after EvoPress (Sieberling et al. 2024)."""

    def __init__(self, space: LayerSpace, seed: int, offspring: int = 8) -> None:
        self.space, self.offspring = space, offspring
        self.rng = random.Random(seed)
        self.parent: tuple[float, Subset] | None = None
        self.asked: list[Subset] = []
        self.scored: list[tuple[float, Subset]] = []

    def ask(self) -> tuple[int, Subset]:
        """A mutation of the parent; random subsets before there is one."""
        subset = self.space.sample(self.rng)
        if self.parent is not None:
            subset = self.parent[1]
            for _ in range(min(self.rng.randint(1, 3), self.rng.randint(1, 3))):
                subset = self.rng.choice(self.space.neighbours(subset) or [subset])
        self.asked.append(subset)
        return len(self.asked) - 1, subset

    def tell(self, ticket: int, score: float) -> None:
        """When a generation is complete its best replaces the parent, if it is better."""
        self.scored.append((score, self.asked[ticket]))
        if len(self.scored) % self.offspring == 0:
            self.parent = max(self.scored)

    def answer(self) -> Subset:
        """The subset with the best score."""
        return max(self.scored)[1]


AUTO = "gp, auto replicates"
NAMES = ("gp", AUTO, "swap", "tpe", "uniform")
OPTUNA = ("tpe priorities", "cma-es priorities", "gp priorities", "tpe slots")


def make(name: str, space: LayerSpace, seed: int, trials: int = 100) -> Rival:
    """The rival called `name`, for a search of so many trials."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if name == AUTO:
        return Automatic(space, seed, trials)
    if name in NAMES:
        return Ours(name, space, seed)
    if name == "swap evolution":
        return SwapEvolution(space, seed)
    kinds: dict[str, type[BaseSampler]] = {
        "tpe": TPESampler, "cma-es": CmaEsSampler, "gp": GPSampler,
    }  # fmt: skip
    kind, encoding = name.split(" ")
    options = {"multivariate": True} if kind == "tpe" else {}
    return Optunas(kinds[kind](seed=seed, **options), space, encoding)
