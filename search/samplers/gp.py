"""A Gaussian process over subsets, and expected improvement."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import ndtr

from search.errors import InputError
from search.samplers._base import Observation, SubsetSampler, several_unseen, unseen
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import Posterior, Surrogate
from search.surrogate.covariance import Rows
from search.surrogate.model import Hint
from search.surrogate.process import Vector

_LEAST = 4  # scored subsets before the process is asked
_SPREAD_FROM = 32  # untried subsets of which the one farthest from all tried is taken
_HINTED = 3  # of so many startup trials one is what the hints favour: the others show the scale
_WITH_HINTS = 0.8  # share of the startup after which hints that are borne out may lead
_POOL = 2000  # untried subsets that a climb starts from, in a space too large to score whole
_CLIMBERS = 8
_WAYS = 16  # in which running trials are imagined to end
_ROUNDS = 6


class GPSampler(SubsetSampler):
    """Gaussian process over which layers are kept and where they sit, by expected improvement.

    The process (`search.surrogate`) is fitted anew to the recorded trials for each proposal.
    Running trials count as having scored what is expected of them. The expected improvement is
    that over the best posterior mean of the tried subsets, so that luck is not chased
    (the plug-in form; Picheny, Wagner and Ginsbourger 2013).

    Args:
        space: the space that is searched.
        seed: the same seed and history give the same proposal.
        hints: guesses made before the first trial, such as a screen's.
        startup: subsets tried before the process is asked, each as far from the others as it goes;
            with hints every third one is what these favour.
        transfer: whether it also learns from trials of other depths.
    """

    def __init__(
        self,
        space: LayerSpace,
        *,
        seed: int = 0,
        hints: Sequence[Hint] = (),
        startup: Annotated[int, Field(ge=1)] = 10,
        transfer: bool = False,
    ) -> None:
        super().__init__(space, seed=seed)
        if startup < 1:
            message = f"gp takes startup >= 1, not {startup}"
            raise InputError(message)
        # in a small space the startup would be most of the search
        self.startup = min(startup, max(_LEAST, space.count // 4))
        self.transfer = transfer
        self.surrogate = Surrogate(space, hints, transfer=transfer)

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """The untried subset with the largest expected improvement."""
        fallback = unseen(self.space, history, rng)
        tried = {trial.subset for trial in history if trial.subset in self.space}
        knows = bool(self.surrogate.hints or self.surrogate.relatives(history))
        enough = full = self.startup
        if knows:
            enough = math.ceil(_WITH_HINTS * self.startup)  # what is borne out may lead sooner
        if self.surrogate.hints:
            full = self.startup * _HINTED // (_HINTED - 1)  # what a screen favours comes on top
        posterior = self.surrogate.fit(history) if len(tried) >= enough else None
        if posterior is not None and len(posterior.trials) >= _LEAST:
            if posterior.hinted or len(tried) >= full:
                return self._best(posterior, history, tried, rng)
            return self._far(history, tried, rng)
        if knows and len(tried) % _HINTED == 0:
            return self._hinted(history, tried, rng)
        return self._far(history, tried, rng) if tried else fallback

    def _hinted(
        self, history: Sequence[Observation], tried: set[Subset], rng: random.Random
    ) -> Subset:
        """The untried subset of which hints and other depths expect most."""
        posterior = self.surrogate.fit(history, trusting=True)

        def expected(rows: Rows) -> Vector:
            total = rows.hints.sum(axis=1).astype(np.float64)
            if posterior is not None and posterior.hinted:
                mean, _ = posterior.predict(rows)
                total += (mean - mean.mean()) / max(float(mean.std()), 1e-9)
            return np.asarray(total)

        if self.surrogate.fits_in_memory:
            return self._top_untried(expected, tried)
        pool = several_unseen(self.space, history, rng, _POOL)
        return pool[int(expected(self.surrogate.rows(pool)).argmax())]

    def _far(
        self, history: Sequence[Observation], tried: set[Subset], rng: random.Random
    ) -> Subset:
        """Of some untried subsets, the one that shares the fewest layers with those tried."""
        pool = several_unseen(self.space, history, rng, _SPREAD_FROM)
        encode = self.surrogate.encode
        shared = encode(pool).kept @ encode(sorted(tried)).kept.T
        return pool[int(np.lexsort((shared.mean(axis=1), shared.max(axis=1)))[0])]

    def _best(
        self,
        posterior: Posterior,
        history: Sequence[Observation],
        tried: set[Subset],
        rng: random.Random,
    ) -> Subset:
        """The untried subset with the largest expected improvement, however what runs may end."""
        pending = len(posterior.trials.pending)
        draws = np.zeros((1, 0))
        if pending:
            half = np.random.default_rng(0).standard_normal((_WAYS // 2, pending))
            draws = np.concatenate([half, -half])
        targets = posterior.imagine(posterior.begun, draws)[0].max(axis=1)

        def gain(rows: Rows) -> Vector:
            means, deviation = posterior.imagine(rows, draws)
            gains = improvement(means, deviation, targets[:, None])
            return np.asarray(gains.mean(axis=0))

        if self.surrogate.fits_in_memory:
            return self._top_untried(gain, tried)

        means = posterior.tried()[0]
        leaders = [posterior.trials.subsets[i] for i in np.argsort(-means)[:_CLIMBERS]]
        pool = set(several_unseen(self.space, history, rng, _POOL))
        pool |= {near for subset in leaders for near in self.space.neighbours(subset)}
        return self._climb(
            sorted(pool - tried), tried, lambda subsets: gain(self.surrogate.rows(subsets))
        )

    def _top_untried(self, value: Callable[[Rows], Vector], tried: set[Subset]) -> Subset:
        """The untried member of the whole space with the largest value."""
        values = value(self.surrogate.everything)
        values[[self.space.rank(subset) for subset in tried]] = -np.inf
        return self.space.unrank(int(values.argmax()))

    def _climb(
        self, pool: list[Subset], tried: set[Subset], gain: Callable[[Sequence[Subset]], Vector]
    ) -> Subset:
        """Swap layers of the most promising subsets of `pool` until none of them gains."""
        known = dict(zip(pool, gain(pool).tolist(), strict=True))
        for _ in range(_ROUNDS):
            top = sorted(known, key=lambda subset: (-known[subset], subset))[:_CLIMBERS]
            near = {near for subset in top for near in self.space.neighbours(subset)}
            fresh = sorted(near - tried - known.keys())
            if not fresh:
                break
            known |= dict(zip(fresh, gain(fresh).tolist(), strict=True))
            if max(known, key=known.__getitem__) == top[0]:
                break
        return min(known, key=lambda subset: (-known[subset], subset))


def improvement(mean: Vector, deviation: Vector, target: float | Vector) -> Vector:
    """Expected improvement over `target` (Mockus 1978, in the form of Jones et al. 1998)."""
    above = (mean - target) / deviation
    density = np.exp(-(above**2) / 2) / math.sqrt(2 * math.pi)
    gains: Vector = deviation * (above * ndtr(above) + density)
    return gains
