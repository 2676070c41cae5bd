"""How much each component of the covariance explains, and how noisy a trial is, by the scores.

Our own because none of the libraries fits: scikit-learn's process has no sum of precomputed
covariances with gradients and no replicates, BoTorch's takes seconds a fit where a proposal may
take 0.2 s. The linear algebra and the optimiser are SciPy's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from search.surrogate.features import Array
from search.surrogate.process import JITTER, Vector, factor

LEVEL = 4.0
"""Variance of the unknown mean level of each depth, in units of the variance of the scores."""

_KIN = 0.5  # what groups are taken to have in common until the scores speak
_SCALES = 0.3  # standard deviation of the logarithm of a group's scale
_STEPS = 40  # of the optimiser; it has converged long before
_BOUNDS = (-6.0, 1.5)  # of the logarithm of an amplitude
_NOISE_BOUNDS = (-4.0, 1.0)  # of that of the noise: none at all would be singular
_SCALE_BOUNDS = (-1.0, 1.0)
_KIN_BOUNDS = (1e-3, 0.99)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the logarithms of amplitudes, in standard deviations of the scores.

    Attributes:
        means: one for each component.
        noise: of the noise of one trial. An underestimated noise lets a lucky trial lead for long.
        spread: standard deviation of the belief about a component,
        noise_spread: and about the noise.
    """

    means: tuple[float, ...]
    noise: float = math.log(0.25)
    spread: float = 1.0
    noise_spread: float = 0.4


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """Learned scales.

    Attributes:
        variances: of each component, in units of the variance of the scores.
        noise: variance of the noise of one trial, in the same units.
        loss: negative logarithm of their posterior density, up to a constant.
        kinship: (groups, components), how much of each component each group of subsets has in
            common with the last one, which has all.
        scales: (groups,), how much more the scores of each group differ than those of the last.
    """

    variances: Vector
    noise: float
    loss: float
    kinship: Vector
    scales: Vector

    def mix(self, components: Sequence[Array], these: int = -1, those: int = -1) -> Array:
        """The covariance that the components make up, level included.

        Args:
            components: (n, m) each, between the subsets of two groups.
            these: number of the one group.
            those: number of the other.
        """
        tie = self.scales[these] * self.scales[those] * self.variances
        if these != those:
            tie = tie * self.kinship[these] * self.kinship[those]
        total = np.full_like(components[0], LEVEL if these == those else 0.0)
        for variance, component in zip(tie, components, strict=True):
            total += np.float32(variance) * component
        return total


@dataclass(frozen=True)
class Sample:
    """Scores that amplitudes are learned from.

    There may be groups of subsets, one for each depth. They share the amplitudes, but each has a
    scale of its own, and of each component it has only a part in common with the others: the
    intrinsic coregionalisation model (Bonilla, Chai and Williams 2007), with a correlation for
    every component.

    Attributes:
        components: (n, n) each, between the n scored subsets.
        scores: (n,), mean score of each subset; each group has mean 0 and
            variance 1, that of its seeds included.
        counts: (n,), trials behind each mean.
        squares: squared deviations of all trials from the means of their subsets, summed.
        sizes: number of subsets in each group, in their order; the group in question is the last.
    """

    components: Sequence[Array]
    scores: Vector
    counts: Vector
    squares: float
    sizes: tuple[int, ...]

    @cached_property
    def stack(self) -> Vector:
        """(components, n, n)."""
        return np.stack(self.components).astype(np.float64)

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """(n,), number of the group of each subset."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """(n, n), whether two subsets are in one group."""
        return np.equal.outer(self.group, self.group)

    @cached_property
    def others(self) -> list[NDArray[np.bool_]]:
        """(n,) each, who is in each group but the last."""
        return [self.group == number for number in range(len(self.sizes) - 1)]

    def ties(self, scales: Vector, kinship: Vector) -> Vector:
        """(components, n, n), what the components are multiplied by because of the groups."""
        shared = kinship.T[:, self.group]
        scale = scales[self.group]
        ties = np.where(self.same, 1.0, shared[:, :, None] * shared[:, None])
        return ties * np.multiply.outer(scale, scale)


def learn(sample: Sample, prior: Prior, *, kin: bool = True) -> Amplitudes:
    """The most probable amplitudes.

    Args:
        sample: the scores.
        prior: what is believed before the first of them.
        kin: whether groups may have anything in common.
    """
    parts, others = len(sample.stack), len(sample.others)
    start = np.array(
        [*prior.means, prior.noise, *[0.0] * others, *[_KIN if kin else 0.0] * (others * parts)]
    )
    bounds = [
        *[_BOUNDS] * parts,
        _NOISE_BOUNDS,
        *[_SCALE_BOUNDS] * others,
        *[_KIN_BOUNDS if kin else (0.0, 0.0)] * (others * parts),
    ]
    found = optimize.minimize(
        lambda at: _loss(_unpacked(at, parts, others), sample, prior),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _STEPS},
    )
    return replace(_unpacked(found.x, parts, others), loss=float(found.fun))


def _unpacked(at: Vector, parts: int, others: int) -> Amplitudes:
    """Amplitudes from what the optimiser varies."""
    logs, noise, scales, kinship = np.split(at, [parts, parts + 1, parts + 1 + others])
    return Amplitudes(
        variances=np.exp(2 * logs),
        noise=math.exp(2 * noise[0]),
        loss=math.nan,
        kinship=np.append(kinship, np.ones(parts)).reshape(-1, parts),
        scales=np.append(np.exp(scales), 1.0),
    )


def _loss(at: Amplitudes, sample: Sample, prior: Prior) -> tuple[float, Vector]:
    """Negative logarithm of the posterior density, and its gradient."""
    scores, noise = sample.scores, at.noise
    stack = sample.stack
    if sample.others:
        stack = stack * sample.ties(at.scales, at.kinship)
    total = np.tensordot(at.variances, stack, 1) + LEVEL * sample.same
    total[np.diag_indices(len(scores))] += noise / sample.counts
    lower = factor(total)
    inverse = linalg.cho_solve((lower, True), np.eye(len(scores)), check_finite=False)
    weights = inverse @ scores
    rest = inverse - np.outer(weights, weights)
    repeats = float(sample.counts.sum()) - len(scores)
    value = 0.5 * scores @ weights + np.log(np.diag(lower)).sum()
    value += 0.5 * (repeats * math.log(noise) + sample.squares / noise)

    far = np.log(at.variances) / 2 - prior.means
    far = (far - far.mean()) / prior.spread  # all together are free: trials may be much alike
    noise_far = (math.log(noise) / 2 - prior.noise) / prior.noise_spread
    scales_far = np.log(at.scales[:-1]) / _SCALES
    value += 0.5 * (far @ far + noise_far**2 + scales_far @ scales_far)

    of_noise = noise * (np.diag(rest) / sample.counts).sum() + repeats - sample.squares / noise
    slope = [
        at.variances * np.tensordot(stack, rest, 2) + far / prior.spread,
        [of_noise + noise_far / prior.noise_spread],
    ]
    if sample.others:
        felt = at.variances[:, None, None] * stack * rest
        slope.append([felt[:, own].sum() for own in sample.others] + scales_far / _SCALES)
        for own, kinship in zip(sample.others, at.kinship, strict=False):
            across = felt[:, own][:, :, ~own].sum(axis=(1, 2))
            slope.append(across / np.maximum(kinship, JITTER))
    return float(value), np.concatenate(slope)
