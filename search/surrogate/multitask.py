"""Several tasks: trials of other depths of the same base, and when to learn from them.

A layer that helps at depth 4 may help at depth 7. How far to trust that is for the scores to say.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from search.observation import Observation
from search.space import LayerSpace
from search.surrogate.features import Array, Encoder
from search.surrogate.hyperparameters import (
    Hyperparameters,
    Prior,
    TrainingData,
    fit_hyperparameters,
)
from search.surrogate.kernel import COMPONENTS, Inputs, joint_components
from search.surrogate.regression import Floats
from search.surrogate.trials import FLAT, PooledTrials

LEAST_OF_OTHER_DEPTH = 8
"""Scored subsets that another depth must have to be learned from: fewer do not say how its seven
components compare with those of the target.
"""

# Subsets of all other depths that are learned from, which bound the time of a fit: it grows as the
# cube of its subsets, and 60 of the target with 200 others take a second. A target with many trials
# of its own needs fewer.
_FEWEST_OF_OTHERS, _MOST_OF_OTHERS = 60, 200

# Prior amplitudes of the components and of a hint, in deviations of the scores: which layers are
# kept comes first, interactions after. Chosen on the landscapes of benchmarks/regret.py.
_AMPLITUDES = tuple(math.log(scale) for scale in (0.5, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3))
_HINT_AMPLITUDE = math.log(0.4)

# By how much J must fall for a hint to count: a factor e^2 in posterior density. A heuristic,
# stricter than the factor 3 from which Kass and Raftery (1995) call evidence positive.
_EVIDENCE_FOR_HINT = 2.0

# Ways in which another depth may resemble the target that matter: layers, neighbours, pairs, shape.
# The components are more, but overlap; a heuristic.
_CORRELATIONS_THAT_COUNT = 4

_TRUSTED_CORRELATION = 0.7  # of other tasks while nothing is known; between none and all

_LEARN_FROM = 250  # subsets that hyperparameters are learned from: more change them little


@dataclass(frozen=True, slots=True)
class OtherTask:
    """The trials of another depth.

    Attributes:
        encode: turns its subsets into features.
        trials: its scored subsets; pending ones of another depth do not matter here.
    """

    encode: Encoder
    trials: PooledTrials

    def inputs(self, task: int, hints: int) -> Inputs:
        """Return its subsets, encoded as task number `task`, without any of `hints` guesses."""
        nothing = np.zeros((len(self.trials), hints), dtype=np.float32)
        return Inputs(self.encode(self.trials.subsets), nothing, task)


def find_other_tasks(history: Iterable[Observation], space: LayerSpace) -> list[OtherTask]:
    """Return each other depth that `history` has enough trials of, ascending by depth."""
    by_depth: dict[int, list[Observation]] = {}
    own = 0
    for trial in history:
        if len(trial.subset) == space.depth:
            own += 1
        elif 0 < len(trial.subset) <= space.layers:
            by_depth.setdefault(len(trial.subset), []).append(trial)

    found = []
    for depth, trials in sorted(by_depth.items()):
        there = space.unconstrained(depth)
        scored = PooledTrials.of(trials, there)
        if len(scored) >= LEAST_OF_OTHER_DEPTH and np.ptp(scored.means) > FLAT:
            found.append(OtherTask(_encoder(there), scored))

    most = max(_FEWEST_OF_OTHERS, _MOST_OF_OTHERS - own)
    each = max(LEAST_OF_OTHER_DEPTH, most // max(1, len(found)))
    return [replace(one, trials=one.trials.best(each)) for one in found]


@lru_cache(maxsize=64)
def _encoder(space: LayerSpace) -> Encoder:
    """Return the encoder of `space`, whose means and scales take a while to compute."""
    return Encoder(space)


@dataclass(frozen=True, slots=True)
class JointScores:
    """Scores of all tasks that a process is conditioned on, each task in a unit of its own.

    Attributes:
        parts: encoded subsets of each task, the target's last.
        sizes: number of scored subsets of each task.
        scores: (n,), y, of each subset.
        counts: (n,), m, trials behind each.
        squares: squared deviations of all trials from the means of their subsets, summed.
        centre: mean of the scores of the target, in units of the score; 0 without any.
        unit: unit of the target: the usual distance of a trial from that mean.
    """

    parts: tuple[Inputs, ...]
    sizes: tuple[int, ...]
    scores: Floats
    counts: Floats
    squares: float
    centre: float
    unit: float

    @classmethod
    def of(cls, inputs: Inputs, trials: PooledTrials, others: Sequence[OtherTask]) -> "JointScores":
        """Put the trials of all tasks together.

        Args:
            inputs: the scored subsets of `trials`, encoded.
            trials: of the target.
            others: of other depths.
        """
        every = [*(other.trials for other in others), trials]
        means = [float(one.means.mean()) if len(one) else 0.0 for one in every]

        # a task whose scores do not vary takes the usual unit of the others
        deviations = [one.deviation for one in every]
        usual = float(np.mean([found for found in deviations if found > FLAT] or [FLAT]))
        units = [found if found > FLAT else usual for found in deviations]

        each = list(zip(every, means, units, strict=True))
        hints = inputs.hints.shape[1]
        return cls(
            (*(other.inputs(number, hints) for number, other in enumerate(others)), inputs),
            tuple(len(one) for one in every),
            np.concatenate([(one.means - mean) / unit for one, mean, unit in each]),
            np.concatenate([one.counts for one in every]),
            math.fsum(float(one.squares.sum()) / unit**2 for one, _, unit in each),
            means[-1],
            units[-1],
        )

    def fit(self, components: Sequence[Array], *, correlated: bool = True) -> Hyperparameters:
        """Return the hyperparameters; a hint counts only if the scores are likelier with it.

        Args:
            components: k_c between all parts, (n, n) each.
            correlated: whether tasks may have anything in common.
        """
        kept = list(range(len(COMPONENTS)))
        found = self._fit_some(components, kept, correlated=correlated)
        for hint in range(len(COMPONENTS), len(components)):
            other = self._fit_some(components, [*kept, hint], correlated=correlated)
            if other.objective < found.objective - _EVIDENCE_FOR_HINT:
                kept, found = [*kept, hint], other

        # components that were left out have amplitude and correlation 0
        variances = np.zeros(len(components))
        correlations = np.zeros((len(self.sizes), len(components)))
        variances[kept], correlations[:, kept] = found.variances, found.correlations
        return replace(found, variances=variances, correlations=correlations)

    def _fit_some(
        self, components: Sequence[Array], chosen: Sequence[int], *, correlated: bool
    ) -> Hyperparameters:
        """Return the hyperparameters of the `chosen` components alone."""
        hints = len(chosen) - len(_AMPLITUDES)
        data = TrainingData(
            [components[i] for i in chosen], self.scores, self.counts, self.squares, self.sizes
        )
        prior = Prior((*_AMPLITUDES, *[_HINT_AMPLITUDE] * hints))
        return fit_hyperparameters(data, prior, correlated=correlated)


def fit_jointly(
    inputs: Inputs, trials: PooledTrials, others: Sequence[OtherTask], *, trust: bool
) -> tuple[JointScores, Hyperparameters]:
    """Return the scores to condition on, and the hyperparameters.

    Other tasks are left out unless the scores of the target bear them out. They must lower J by
    1/2 log n for each way in which they may resemble it (the criterion of Schwarz 1978): a chance
    resemblance does not grow with the trials, a true one does.

    Args:
        inputs: the scored subsets of `trials`, encoded.
        trials: of the target.
        others: of other depths.
        trust: whether other tasks are believed anyway.
    """
    places = np.linspace(0, len(trials) - 1, min(_LEARN_FROM, len(trials)))
    some = np.unique(places.astype(np.intp))
    part, whole = (inputs.take(some), trials.take(some)), (inputs, trials)

    if others:
        scores = JointScores.of(*part, others)
        components = joint_components(scores.parts)
        joint = scores.fit(components)
        if trust:
            trusted = np.maximum(joint.correlations, _TRUSTED_CORRELATION)
            return JointScores.of(*whole, others), replace(joint, correlations=trusted)

        apart = scores.fit(components, correlated=False)
        if apart.objective - joint.objective > _CORRELATIONS_THAT_COUNT * math.log(len(trials)) / 2:
            return JointScores.of(*whole, others), joint

    scores = JointScores.of(*part, ())
    return JointScores.of(*whole, ()), scores.fit(joint_components(scores.parts))
