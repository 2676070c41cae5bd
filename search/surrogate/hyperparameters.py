"""Hyperparameters of the kernel, learned from the scores by their posterior density.

In the notation of the package, with R = sum of m_i - n repeats and S the squared deviations of all
trials from the means of their subsets, the negative logarithm of the density is, up to a constant,

    J = 1/2 y^T A^-1 y + 1/2 log |A|                        the means of the subsets
      + 1/2 (R log sigma^2 + S / sigma^2)                   the repeats within each subset
      + 1/2 |u|^2 + 1/2 v^2 + 1/2 |w|^2                     the prior

    u_c = (log a_c - mu_c - mean over c) / tau              amplitudes; their common size is free
    v   = (log sigma - mu_sigma) / tau_sigma                noise
    w_t = log s_t / tau_s                                   scales of the other tasks

and its gradient follows from dJ/dp = 1/2 tr(B dA/dp) + ..., with B = A^-1 - alpha alpha^T:

    dJ/d log a_c   = a_c^2 sum_ij B_ij K_c,ij + u_c / tau
    dJ/d log sigma = sigma^2 sum_i B_ii / m_i + R - S / sigma^2 + v / tau_sigma
    dJ/d log s_t   = sum of F_c,ij over c, i in t, all j, + w_t / tau_s
    dJ/d r_tc      = sum of F_c,ij over i in t, j not in t, / r_tc

where K_c is the covariance of component c with scales and task correlations, and F_c is a_c^2 K_c
times B, element by element (Rasmussen and Williams 2006, equations 5.8 and 5.9; for the tasks
Bonilla, Chai and Williams 2007).

Our own because none of the libraries fits: scikit-learn's process has no sum of precomputed
components with gradients and no repeats, BoTorch's takes seconds a fit where a proposal may take
0.2 s. The linear algebra and the optimiser are SciPy's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from search.surrogate.features import Array
from search.surrogate.regression import JITTER, Floats, cholesky

LEVEL = 4.0
"""Variance l of the unknown mean level of each task, in units of the variance of its scores: wide,
since the mean of few trials may lie two deviations off.
"""

# Steps of the optimiser. With one task it converges after 10 to 30; with several it may stop here,
# close to the optimum, which bounds the time of a proposal.
_STEPS = 40

# Bounds of the search, wide of all fits met in the benchmarks: an amplitude from a share of 6e-6 of
# the variance to 20 variances; noise that is nearly nothing would make A singular.
_AMPLITUDE_BOUNDS = (-6.0, 1.5)  # of log a_c
_NOISE_BOUNDS = (-4.0, 1.0)  # of log sigma
_SCALE_BOUNDS = (-1.0, 1.0)  # of log s_t
_CORRELATION_BOUNDS = (1e-3, 0.99)  # of r_tc

_FIRST_CORRELATION = 0.5  # where the search begins, in the middle of its bounds
_SCALE_DEVIATION = 0.3  # tau_s: depths of one base differ in their scatter by a third; a heuristic


@dataclass(frozen=True, slots=True)
class Prior:
    """Normal beliefs about the logarithms of amplitudes and noise, in deviations of the scores.

    Attributes:
        means: mu_c, one for each component.
        noise: mu_sigma. An underestimated noise lets a lucky trial lead for long, so it starts at a
            quarter of the scatter of the scores.
        deviation: tau, wide: a factor e either way.
        noise_deviation: tau_sigma, narrower, because few repeats say little about the noise.
    """

    means: tuple[float, ...]
    noise: float = math.log(0.25)
    deviation: float = 1.0
    noise_deviation: float = 0.4


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The learned hyperparameters.

    Attributes:
        variances: (components,), a_c^2, in units of the variance of the scores.
        noise: sigma^2, variance of the noise of one trial, in the same units.
        objective: J at these values.
        correlations: (tasks, components), r_tc; the target comes last and has 1.
        scales: (tasks,), s_t; the target comes last and has 1.
    """

    variances: Floats
    noise: float
    objective: float
    correlations: Floats
    scales: Floats

    def weights(self, a: int, b: int) -> Floats:
        """Return a_c^2 s_a s_b rho_c(a, b), (components,), for the tasks number `a` and `b`."""
        scaled: Floats = self.variances * float(self.scales[a] * self.scales[b])
        if a != b:
            scaled *= self.correlations[a] * self.correlations[b]
        return scaled


@dataclass(frozen=True)
class TrainingData:
    """Scores that hyperparameters are learned from.

    Attributes:
        components: (n, n) each, k_c between the n scored subsets.
        scores: (n,), y, the mean score of each subset; each task has mean 0 and variance 1, that of
            its seeds included.
        counts: (n,), m, trials behind each mean.
        squares: S, squared deviations of all trials from the means of their subsets, summed.
        sizes: number of subsets of each task, in their order; the target is the last.
    """

    components: Sequence[Array]
    scores: Floats
    counts: Floats
    squares: float
    sizes: tuple[int, ...]

    @cached_property
    def stack(self) -> Floats:
        """The components as one array, (components, n, n)."""
        return np.stack(self.components).astype(np.float64)

    @cached_property
    def task(self) -> NDArray[np.intp]:
        """The number of the task of each subset, (n,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def is_same_task(self) -> NDArray[np.bool_]:
        """Whether two subsets are of one task, (n, n)."""
        return np.equal.outer(self.task, self.task)

    @cached_property
    def other_tasks(self) -> list[NDArray[np.bool_]]:
        """Which subsets are of each task but the target, (n,) each."""
        return [self.task == number for number in range(len(self.sizes) - 1)]

    def scaled_stack(self, scales: Floats, correlations: Floats) -> Floats:
        """Return s_t s_t' rho_c(t, t') k_c, (components, n, n)."""
        if not self.other_tasks:
            return self.stack

        shared = correlations.T[:, self.task]
        scale = scales[self.task]
        rho = np.where(self.is_same_task, 1.0, shared[:, :, None] * shared[:, None])
        scaled: Floats = self.stack * (rho * np.multiply.outer(scale, scale))
        return scaled


def fit_hyperparameters(
    data: TrainingData, prior: Prior, *, correlated: bool = True
) -> Hyperparameters:
    """Return the most probable hyperparameters.

    Args:
        data: the scores.
        prior: beliefs before the first of them.
        correlated: whether tasks may have anything in common.
    """
    components, others = len(data.stack), len(data.other_tasks)
    first = _FIRST_CORRELATION if correlated else 0.0
    start = np.array([*prior.means, prior.noise, *[0.0] * others, *[first] * (others * components)])
    bounds = [
        *[_AMPLITUDE_BOUNDS] * components,
        _NOISE_BOUNDS,
        *[_SCALE_BOUNDS] * others,
        *[_CORRELATION_BOUNDS if correlated else (0.0, 0.0)] * (others * components),
    ]

    found = optimize.minimize(
        lambda at: _objective(_unpack(at, components, others), data, prior),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _STEPS},
    )
    return replace(_unpack(found.x, components, others), objective=float(found.fun))


def _unpack(at: Floats, components: int, others: int) -> Hyperparameters:
    """Return the hyperparameters that a point of the optimiser stands for."""
    log_amplitudes, log_noise, log_scales, correlations = np.split(
        at, [components, components + 1, components + 1 + others]
    )
    return Hyperparameters(
        variances=np.exp(2 * log_amplitudes),
        noise=math.exp(2 * log_noise[0]),
        objective=math.nan,
        correlations=np.append(correlations, np.ones(components)).reshape(-1, components),
        scales=np.append(np.exp(log_scales), 1.0),
    )


def _objective(at: Hyperparameters, data: TrainingData, prior: Prior) -> tuple[float, Floats]:
    """Return J and its gradient, in the order of the optimiser's point."""
    y, noise = data.scores, at.noise
    repeats = float(data.counts.sum()) - len(y)

    # A = K + D, its factor and its inverse
    stack = data.scaled_stack(at.scales, at.correlations)
    a = np.tensordot(at.variances, stack, 1) + LEVEL * data.is_same_task
    a[np.diag_indices(len(y))] += noise / data.counts
    lower = cholesky(a)
    inverse = linalg.cho_solve((lower, True), np.eye(len(y)), check_finite=False)
    alpha = inverse @ y

    # the prior's u, v and w
    u = np.log(at.variances) / 2 - prior.means
    u = (u - u.mean()) / prior.deviation
    v = (math.log(noise) / 2 - prior.noise) / prior.noise_deviation
    w = np.log(at.scales[:-1]) / _SCALE_DEVIATION

    value = 0.5 * y @ alpha + np.log(np.diag(lower)).sum()
    value += 0.5 * (repeats * math.log(noise) + data.squares / noise)
    value += 0.5 * (u @ u + v**2 + w @ w)

    # the gradient
    b = inverse - np.outer(alpha, alpha)
    by_noise = noise * (np.diag(b) / data.counts).sum() + repeats - data.squares / noise
    gradient = [
        at.variances * np.tensordot(stack, b, 2) + u / prior.deviation,
        [by_noise + v / prior.noise_deviation],
    ]
    if data.other_tasks:
        f = at.variances[:, None, None] * stack * b
        gradient.append([f[:, own].sum() for own in data.other_tasks] + w / _SCALE_DEVIATION)
        for own, correlation in zip(data.other_tasks, at.correlations, strict=False):
            across = f[:, own][:, :, ~own].sum(axis=(1, 2))
            gradient.append(across / np.maximum(correlation, JITTER))
    return float(value), np.concatenate(gradient)
