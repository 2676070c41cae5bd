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
"""Share of a budget, its end, that goes to those that may be the best if `replicates = "auto"`.

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
    if plan.replicates == "auto":
        ending = left <= math.ceil(RESERVE * (len(seen) + left))
        subset, repeated = _worthwhile(plan, everything, ending=ending)
    else:
        short = _short(seen, seeds, plan.replicates)
        subset, repeated = short or plan.sampler.next_subset(everything), short is not None
    if repeated:
        return Proposal(subset, _fresh(seeds[subset], plan.seed), REPEAT)
    return Proposal(subset, plan.seed, plan.sampler_name)


def _worthwhile(
    plan: DepthPlan, everything: Sequence[Observation], *, ending: bool
) -> tuple[Subset, bool]:
    """The subset to try, and whether that repeats it.

    Raises:
        SpaceExhaustedError: every subset was tried, and no repeat is worth it.
    """
    try:
        new = plan.sampler.next_subset(everything)
    except SpaceExhaustedError:
        repeated = answer.worth_repeating(plan.judge, everything)
        if repeated is None:
            raise
        return repeated, True
    repeated = answer.worth_repeating(plan.judge, everything, None if ending else new)
    return (new, False) if repeated is None else (repeated, True)


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
