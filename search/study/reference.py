"""The reference of a study: the whole base under the same recipe, to compare its cuts with."""

from itertools import islice

import evaluators
from search.space import Subset
from search.study.file import StudyFile
from search.study.seeds import free_seeds
from storage.queue import NewTrial
from storage.states import Origin


def whole_base(base: evaluators.Description) -> Subset:
    """Return the subset that keeps all layers of `base`."""
    return tuple(range(base.layers))


def plan_reference(file: StudyFile, evaluator: evaluators.Evaluator) -> list[NewTrial]:
    """Return the trials of the whole base, one for each seed that the study gives a subset.

    With `replicates = "auto"`, which repeats a subset only to tell it from others, it is one.

    Returns:
        The trials; none when the study searches that depth anyway, or when the evaluator can have
        no score of the whole base.
    """
    whole = whole_base(evaluator.description)
    if len(whole) in file.study.depths or not can_score(evaluator, whole):
        return []

    replicates = file.study.replicates
    seeds = 1 if replicates == "auto" else replicates
    chosen = islice(free_seeds(frozenset(), file.study.seed), seeds)
    return [NewTrial(whole, seed, Origin.REFERENCE) for seed in chosen]


def can_score(evaluator: evaluators.Evaluator, subset: Subset) -> bool:
    """Whether a trial of `subset` can have a score."""
    return not isinstance(evaluator, evaluators.Partial) or evaluator.has(subset)
