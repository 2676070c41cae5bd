"""The sampler `gp`: a Gaussian process over subsets, and expected improvement."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from search.errors import InputError
from search.observation import Observation
from search.samplers._base import SubsetSampler
from search.samplers._untried import draw_several_untried, draw_untried
from search.space import LayerSpace, Subset
from search.surrogate import Hint, Posterior, Surrogate
from search.surrogate.acquisition import expected_improvement
from search.surrogate.kernel import Inputs
from search.surrogate.regression import Floats
from storage.values.bounds import LARGEST_INTEGER

_LEAST_SCORED = (
    4  # scored subsets before the process is asked: fewer say nothing of its seven components
)

# The startup, chosen with benchmarks/regret.py: subsets far from all tried ones, of which every
# third follows the hints where there are any. The two others show how much a hint says, and once
# the scores bear a hint out, it may lead after 80 % of the startup.
_FAR_CANDIDATES = 32
_HINTED_EVERY = 3
_SHORTER_WITH_HINTS = 0.8

# The search for the largest expected improvement in a space too large to be scored whole. A
# heuristic: it looks at some thousands of subsets, which takes about as long as the fit.
_POOL = 2000
_CLIMBERS = 8
_ROUNDS = 6

_FANTASIES = 16  # fantasized outcomes of the pending trials; a heuristic, an even number


class GPSampler(SubsetSampler):
    """Gaussian process over which layers are kept and where they sit, by expected improvement.

    The process (`search.surrogate`) is fitted anew to the recorded trials for each proposal. The
    expected improvement is that over the best posterior mean of the tried subsets, so that luck is
    not chased (the plug-in form; Picheny, Wagner and Ginsbourger 2013), averaged over fantasized
    outcomes of the pending trials.

    Args:
        space: the space that is searched.
        seed: the same seed and history give the same proposal.
        hints: guesses made before the first trial, such as a screen's.
        startup: subsets tried before the process is asked, each as far as possible from the earlier
            ones; with hints every third one is the one that the hints favour.
        transfer: whether the process also learns from trials of other depths.
    """

    def __init__(
        self,
        space: LayerSpace,
        *,
        seed: int = 0,
        hints: Sequence[Hint] = (),
        startup: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] = 10,
        transfer: bool = False,
    ) -> None:
        super().__init__(space, seed=seed)
        if startup < 1:
            message = f"gp takes startup >= 1, not {startup}"
            raise InputError(message)

        # in a small space the startup would be most of the search
        self.startup = min(startup, max(_LEAST_SCORED, space.count // 4))
        self.transfer = transfer
        self.surrogate = Surrogate(space, hints, transfer=transfer)

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return the untried subset with the largest expected improvement."""
        fallback = draw_untried(self.space, history, rng)
        tried = {trial.subset for trial in history if trial.subset in self.space}
        has_guidance = bool(self.surrogate.hints or self.surrogate.other_tasks(history))

        # the startup may end sooner where hints or other depths are borne out; those of a screen
        # come on top of it
        shortest = math.ceil(_SHORTER_WITH_HINTS * self.startup) if has_guidance else self.startup
        longest = self.startup
        if self.surrogate.hints:
            longest = self.startup * _HINTED_EVERY // (_HINTED_EVERY - 1)

        posterior = self.surrogate.fit(history) if len(tried) >= shortest else None
        if posterior is not None and len(posterior.trials) >= _LEAST_SCORED:
            if posterior.trusts_guidance or len(tried) >= longest:
                return self._most_promising(posterior, history, tried, rng)
            return self._farthest(history, tried, rng)

        if has_guidance and len(tried) % _HINTED_EVERY == 0:
            return self._most_favoured(history, tried, rng)
        return self._farthest(history, tried, rng) if tried else fallback

    def _most_favoured(
        self, history: Sequence[Observation], tried: set[Subset], rng: random.Random
    ) -> Subset:
        """Return the untried subset that hints and other depths favour most."""
        posterior = self.surrogate.fit(history, trust=True)

        def favour(inputs: Inputs) -> Floats:
            total = inputs.hints.sum(axis=1).astype(np.float64)
            if posterior is not None and posterior.trusts_guidance:
                mean, _ = posterior.predict(inputs)
                total += (mean - mean.mean()) / max(float(mean.std()), 1e-9)
            return np.asarray(total)

        if self.surrogate.fits_in_memory:
            return self._best_of_all(favour, tried)
        pool = draw_several_untried(self.space, history, rng, _POOL)
        return pool[int(favour(self.surrogate.inputs(pool)).argmax())]

    def _farthest(
        self, history: Sequence[Observation], tried: set[Subset], rng: random.Random
    ) -> Subset:
        """Return the one of some untried subsets that shares the fewest layers with tried ones."""
        pool = draw_several_untried(self.space, history, rng, _FAR_CANDIDATES)
        encode = self.surrogate.encode
        shared = encode(pool).kept @ encode(sorted(tried)).kept.T
        return pool[int(np.lexsort((shared.mean(axis=1), shared.max(axis=1)))[0])]

    def _most_promising(
        self,
        posterior: Posterior,
        history: Sequence[Observation],
        tried: set[Subset],
        rng: random.Random,
    ) -> Subset:
        """Return the untried subset with the largest expected improvement.

        It is averaged over fantasized outcomes of the pending trials, each with its own target.
        """
        draws = _fantasy_draws(len(posterior.trials.pending))
        targets = posterior.fantasize(posterior.inputs, draws)[0].max(axis=1)

        def gain(inputs: Inputs) -> Floats:
            means, deviation = posterior.fantasize(inputs, draws)
            gains = expected_improvement(means, deviation, targets[:, None])
            return np.asarray(gains.mean(axis=0))

        if self.surrogate.fits_in_memory:
            return self._best_of_all(gain, tried)

        leaders = [posterior.trials.subsets[i] for i in posterior.leaders(_CLIMBERS)]
        pool = set(draw_several_untried(self.space, history, rng, _POOL))
        pool |= {near for subset in leaders for near in self.space.neighbours(subset)}
        return self._climb(
            sorted(pool - tried), tried, lambda subsets: gain(self.surrogate.inputs(subsets))
        )

    def _best_of_all(self, value: Callable[[Inputs], Floats], tried: set[Subset]) -> Subset:
        """Return the untried member of the whole space with the largest value."""
        values = value(self.surrogate.everything)
        values[[self.space.rank(subset) for subset in tried]] = -np.inf
        return self.space.unrank(int(values.argmax()))

    def _climb(
        self, pool: list[Subset], tried: set[Subset], gain: Callable[[Sequence[Subset]], Floats]
    ) -> Subset:
        """Swap layers of the most promising subsets of `pool` until no swap gains."""
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


def _fantasy_draws(pending: int) -> Floats:
    """Return standard normal numbers, (outcomes, pending), the same ones every time.

    Half of them are the other half with the sign changed, so that their mean is exactly 0.
    """
    if not pending:
        return np.zeros((1, 0))
    half = np.random.default_rng(0).standard_normal((_FANTASIES // 2, pending))
    return np.concatenate([half, -half])
