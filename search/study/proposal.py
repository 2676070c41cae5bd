"""The trial to begin next at one depth: a baseline, a repeat, or the sampler's proposal."""

import math
from collections.abc import Sequence

from search.errors import SpaceExhaustedError
from search.observation import Observation
from search.space import Subset
from search.study.plan import DepthPlan
from search.study.seeds import free_seeds
from search.surrogate import Surrogate
from search.surrogate.acquisition import (
    RIVALS,
    knowledge_gradient,
    probability_first_is_best,
)
from storage.queue import NewTrial
from storage.states import Origin

REPEATS_AT_END = 0.15
"""Share of a budget, its end, in which repeats need not beat a new subset.

Chosen with `benchmarks/regret.py`, where shares from 0.1 to 0.3 do about as well.
"""

CLEAR = 0.95
"""Probability of being the best tried subset from which on no repeat is needed; the same confidence
as that of the ties.
"""

SETTLED = 15
"""Scored subsets before a repeat may take the place of a new one: the startup of `gp` and a few
more, from which its posterior is worth asking.
"""

PREFERENCE = 3.0
"""How much more a repeat must gain than a new subset, whose gain does not end with its one trial.

Chosen with `benchmarks/regret.py --part replicates`, where 1 leaves twice the regret at depth 4.
"""


def propose_trial(
    plan: DepthPlan,
    seen: Sequence[Observation],
    left: int,
    others: Sequence[Observation] = (),
) -> NewTrial:
    """Return the next trial of one depth.

    Args:
        plan: the plan of the depth.
        seen: its trials so far, in the order they were begun.
        left: trials that its budget still has.
        others: trials of other depths, for a sampler that learns from them.

    Raises:
        SpaceExhaustedError: every subset was tried, and none is to be repeated.
    """
    seeds: dict[Subset, set[int]] = {}
    for trial in seen:
        seeds.setdefault(trial.subset, set()).add(trial.seed)

    for subset in plan.first:
        if subset not in seeds:
            return NewTrial(subset, plan.seed, Origin.FIRST)

    history = [*others, *seen]
    if plan.replicates == "auto":
        is_ending = left <= math.ceil(REPEATS_AT_END * (len(seen) + left))
        subset, is_repeat = _new_or_repeat(plan, history, is_ending=is_ending)
    else:
        short = _short_of_seeds(seen, seeds, plan.replicates)
        subset, is_repeat = short or plan.sampler.next_subset(history), short is not None

    if is_repeat:
        return NewTrial(subset, next(free_seeds(seeds[subset], plan.seed)), Origin.REPEAT)
    return NewTrial(subset, plan.seed, Origin.SAMPLER, plan.sampler_name)


def _new_or_repeat(
    plan: DepthPlan, history: Sequence[Observation], *, is_ending: bool
) -> tuple[Subset, bool]:
    """Return the subset to try, and whether that repeats it.

    Raises:
        SpaceExhaustedError: every subset was tried, and no repeat is worth it.
    """
    try:
        new = plan.sampler.next_subset(history)
    except SpaceExhaustedError:
        repeat = best_repeat(plan.surrogate, history)
        if repeat is None:
            raise
        return repeat, True

    repeat = best_repeat(plan.surrogate, history, None if is_ending else new)
    return (new, False) if repeat is None else (repeat, True)


def best_repeat(
    surrogate: Surrogate, history: Sequence[Observation], instead: Subset | None = None
) -> Subset | None:
    """Return the tried subset whose next seed improves the answer most; None if it is not worth it.

    The improvement is the knowledge gradient; pending trials count as if they had scored their
    expectation. A subset of which a trial failed is not repeated, and none is once repeats have
    come out exactly the same.

    Args:
        surrogate: the surrogate of the depth.
        history: the trials so far.
        instead: an untried subset that could be tried instead; it is, unless repeating gains
            `PREFERENCE` times as much. Without one, a repeat is worth it until the answer is clear.
    """
    posterior = surrogate.fit(history)
    if posterior is None or (instead is not None and len(posterior.trials) < SETTLED):
        return None
    if posterior.trials.is_exact:
        return None

    rivals = [posterior.trials.subsets[i] for i in posterior.leaders(RIVALS)]
    mean, covariance = posterior.joint([*rivals, *([instead] if instead else [])])
    if instead is None and probability_first_is_best(mean, covariance) >= CLEAR:
        return None

    gains = knowledge_gradient(mean, covariance, posterior.noise, len(rivals))
    failed = {trial.subset for trial in history if trial.has_failed}
    sound = [i for i, subset in enumerate(rivals) if subset not in failed]
    best = max(sound, key=lambda i: gains[i], default=None)
    if best is None or (instead is not None and gains[best] <= PREFERENCE * gains[len(rivals)]):
        return None
    return rivals[best]


def _short_of_seeds(
    seen: Sequence[Observation], seeds: dict[Subset, set[int]], replicates: int
) -> Subset | None:
    """Return the first subset with fewer than `replicates` seeds; one that failed is not tried."""
    failed = {trial.subset for trial in seen if trial.has_failed}
    return next(
        (s for s, used in seeds.items() if len(used) < replicates and s not in failed), None
    )
