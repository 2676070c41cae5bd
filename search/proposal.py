"""What is tried next at one depth: baselines, repeats, or what the sampler proposes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search import answer
from search.errors import SpaceExhaustedError
from search.job import DepthPlan
from search.samplers import Observation
from search.subsets import Subset
from storage.schema import REPEAT

RESERVE = 0.15
"""Share of a budget that is kept to repeat those that may be the best, with `replicates = "auto"`.

Chosen with `benchmarks/regret.py`, where shares from 0.1 to 0.3 do about as well.
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial to begin, and who chose it (`storage.schema.Trial.origin`)."""

    subset: Subset
    seed: int
    origin: str


def propose(
    plan: DepthPlan,
    seen: Sequence[Observation],
    left: int,
    others: Sequence[Observation] = (),
) -> Proposal:
    """The next trial.

    Args:
        plan: what is tried at this depth.
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
            return Proposal(subset, plan.seed, "first")
    everything = [*others, *seen]
    repeated = None
    if plan.replicates != "auto":
        repeated = _short(seen, seeds, plan.replicates)
    elif left <= math.ceil(RESERVE * (len(seen) + left)):
        repeated = answer.worth_repeating(plan.judge, everything)
    if repeated is None:
        try:
            return Proposal(plan.sampler.next_subset(everything), plan.seed, plan.sampler_name)
        except SpaceExhaustedError:
            if plan.replicates == "auto":
                repeated = answer.worth_repeating(plan.judge, everything)
            if repeated is None:
                raise
    return Proposal(repeated, _fresh(seeds[repeated], plan.seed), REPEAT)


def _short(
    seen: Sequence[Observation], seeds: dict[Subset, set[int]], replicates: int
) -> Subset | None:
    """The first subset that was tried with fewer seeds; one that failed is not tried again."""
    broken = {trial.subset for trial in seen if trial.state == "failed"}
    return next(
        (s for s, used in seeds.items() if len(used) < replicates and s not in broken), None
    )


def _fresh(used: set[int], first: int) -> int:
    """The lowest seed from `first` on that is not in `used`."""
    seed = first
    while seed in used:
        seed += 1
    return seed
