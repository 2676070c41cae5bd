"""The trial to begin next: baselines first, then repeats or new subsets."""

import random
from collections.abc import Sequence

import pytest

from search import samplers
from search.analysis.answer import find_answer
from search.errors import SpaceExhaustedError
from search.observation import Observation
from search.samplers import SubsetSampler
from search.space import LayerSpace, Subset
from search.study.plan import DepthPlan
from search.study.proposal import best_repeat, propose_trial
from search.study.seeds import free_seeds
from search.surrogate import Surrogate
from storage.queue import NewTrial
from storage.states import Origin
from tests.support.proposals import SPACE, tried, true_score


def plan(
    first: Sequence[Subset] = (), *, space: LayerSpace = SPACE, replicates: int | None = 1
) -> DepthPlan:
    """Return a plan over the space with the sampler `uniform` and the seed 5.

    Args:
        first: the hand-picked subsets.
        space: the space.
        replicates: seeds of each subset; None lets the posterior choose.
    """
    sampler = samplers.load("uniform")(space)
    return DepthPlan(space, sampler, "uniform", first, 5, replicates or "auto")


AUTO = plan(replicates=None)


def is_new(trial: NewTrial) -> bool:
    """Whether the sampler chose the trial."""
    assert (trial.origin == Origin.SAMPLER) == (trial.sampler == "uniform")
    return trial.origin == Origin.SAMPLER


# baselines


def test_baselines_come_first_then_the_sampler() -> None:
    chosen = plan([(4, 5, 6, 7), (0, 1, 2, 3)])
    assert propose_trial(chosen, [], 9) == NewTrial((4, 5, 6, 7), 5, Origin.FIRST)
    seen = [Observation((4, 5, 6, 7), is_pending=True, seed=5)]
    assert propose_trial(chosen, seen, 8) == NewTrial((0, 1, 2, 3), 5, Origin.FIRST)
    seen.append(Observation((0, 1, 2, 3), seed=5))

    found = propose_trial(chosen, seen, 7)
    assert (found.seed, found.origin, found.sampler) == (5, Origin.SAMPLER, "uniform")
    assert found.subset not in {trial.subset for trial in seen}


# a number of seeds


def test_every_subset_gets_its_replicates() -> None:
    chosen = plan(replicates=3)
    seen: list[Observation] = []
    for _ in range(12):
        found = propose_trial(chosen, seen, 99)
        seen.append(Observation(found.subset, 0.5, seed=found.seed))
    assert [trial.seed for trial in seen] == [5, 6, 7] * 4
    assert len({trial.subset for trial in seen}) == 4


def test_a_subset_that_failed_is_not_replicated() -> None:
    seen = [Observation((0, 1, 2, 3), seed=5)]
    assert is_new(propose_trial(plan(replicates=2), seen, 9))


def test_workers_side_by_side_share_the_replicates() -> None:
    """A running trial counts as one of the seeds."""
    chosen = plan(replicates=2)
    seen = [Observation((0, 1, 2, 3), is_pending=True, seed=5)]
    assert propose_trial(chosen, seen, 9) == NewTrial((0, 1, 2, 3), 6, Origin.REPEAT)
    seen.append(Observation((0, 1, 2, 3), is_pending=True, seed=6))
    assert is_new(propose_trial(chosen, seen, 9))


def test_all_replicates_of_all_subsets_end_the_study() -> None:
    chosen = plan(replicates=2)
    seen: list[Observation] = []
    for _ in range(70):
        found = propose_trial(chosen, seen, 99)
        seen.append(Observation(found.subset, true_score(found.subset), seed=found.seed))
    with pytest.raises(SpaceExhaustedError):
        propose_trial(chosen, seen, 99)
    assert len({(trial.subset, trial.seed) for trial in seen}) == len(seen) == 70


def test_free_seeds_fill_the_gaps() -> None:
    seeds = free_seeds({5, 6, 8, 2}, 5)
    assert [next(seeds) for _ in range(4)] == [7, 9, 10, 11]


# other depths


def test_trials_of_other_depths_come_before_its_own() -> None:
    """They are for the sampler, and take no seeds."""
    seen_by_sampler: list[Sequence[Observation]] = []

    class Noted(SubsetSampler):
        """Returns the first subset, and remembers the history."""

        def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
            """Return the first subset of the space."""
            seen_by_sampler.append(history)
            return (0, 1, 2, 3)

    chosen = DepthPlan(SPACE, Noted(SPACE), "noted", (), replicates=2)
    other = Observation((0, 1, 2), 0.5)
    own = Observation((0, 1, 2, 4), seed=0)
    found = propose_trial(chosen, [own], 9, [other])
    assert found == NewTrial((0, 1, 2, 3), 0, Origin.SAMPLER, "noted")
    assert seen_by_sampler == [[other, own]]


# repeats where they are worth it


def test_auto_repeats_at_the_end_a_subset_that_may_be_the_best() -> None:
    seen = tried(list(SPACE)[:12], noise=0.02, seed=5)
    assert is_new(propose_trial(AUTO, seen, 20))  # too few to say which may be the best
    late = propose_trial(AUTO, seen, 2)
    assert late.origin == Origin.REPEAT
    assert late.seed == 6
    best = sorted(seen, key=lambda trial: -(trial.score or 0))[:8]
    assert late.subset in {trial.subset for trial in best}


def test_auto_repeats_earlier_where_new_subsets_promise_less() -> None:
    """The best are tried, and noise hides which of them leads: the new one is among the worst."""
    best_first = sorted(SPACE, key=true_score, reverse=True)
    seen = tried(best_first[:25], noise=0.01, seed=5)
    surrogate, worst, left = AUTO.surrogate, best_first[-1], best_first[25:-1]
    assert best_repeat(surrogate, seen, instead=worst) in best_first[:8]

    clear = [t for seed in range(40) for t in tried(best_first[:25], noise=0.01, seed=seed)]
    assert best_repeat(surrogate, clear) is None
    unsure = tried([*left, worst], noise=0.001, seed=5) + tried(best_first[18:25], 0.001, 5)
    assert best_repeat(surrogate, unsure, instead=best_first[0]) is None  # new ground


def test_auto_repeats_no_more_when_a_seed_changes_nothing() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    again = propose_trial(AUTO, seen, 30).subset
    (score,) = [trial.score for trial in seen if trial.subset == again]
    assert score is not None
    once, twice, other = (
        [*seen, *(Observation(again, value, seed=6 + n) for n, value in enumerate(values))]
        for values in ((score,), (score, score), (score, score + 0.001))
    )
    for noisy in (once, other):
        assert propose_trial(AUTO, noisy, 30).origin == Origin.REPEAT
    with pytest.raises(SpaceExhaustedError):
        propose_trial(AUTO, twice, 30)


def test_auto_goes_on_with_new_subsets_when_the_leader_is_clear() -> None:
    seen = tried([(0, 1, 2, 6), (0, 5, 6, 7), (0, 3, 5, 7), (0, 4, 5, 7), (0, 2, 5, 7)])
    seen += tried([(0, 1, 2, 6)], seed=1) * 3
    assert is_new(propose_trial(AUTO, seen, 1))


def test_auto_spends_the_rest_of_a_tried_space_on_repeats() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    assert propose_trial(AUTO, seen, 30).origin == Origin.REPEAT
    with pytest.raises(SpaceExhaustedError):
        propose_trial(plan(), seen, 30)


def test_a_baseline_outside_the_space_may_be_the_answer_and_be_repeated() -> None:
    """Only layer 7 is left out of the space, and it is the one that helps."""
    space = LayerSpace(8, 4, None, "free", forbidden=frozenset({7}))
    chosen = plan(space=space, replicates=None)
    rng = random.Random(1)
    inside = [subset for subset in SPACE if 7 not in subset][:14]
    seen = [Observation(subset, 0.4 + rng.gauss(0, 0.01)) for subset in inside]
    seen += [Observation(subset, 0.43) for subset in SPACE if 7 in subset][:6]

    found = find_answer(chosen.surrogate, seen)
    assert found is not None
    assert 7 in found.subset
    late = propose_trial(chosen, seen, 1)
    assert late.origin == Origin.REPEAT
    assert 7 in late.subset


def test_a_subset_whose_repeat_failed_is_not_repeated_again() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    repeated = []
    for _ in range(4):
        found = propose_trial(AUTO, seen, 9)
        repeated.append(found.subset)
        seen.append(Observation(found.subset, seed=found.seed))
    assert len(set(repeated)) == 4


def test_there_is_nothing_to_repeat_when_all_have_failed_since() -> None:
    seen = tried(list(SPACE)[:20], noise=0.02, seed=5)
    failed = [Observation(trial.subset, seed=6) for trial in seen]
    assert best_repeat(Surrogate(SPACE), seen) is not None
    assert best_repeat(Surrogate(SPACE), [*seen, *failed]) is None


def test_without_scores_there_is_nothing_to_repeat() -> None:
    seen = [Observation((0, 1, 2, 3)), Observation((0, 1, 2, 4), is_pending=True)]
    assert best_repeat(Surrogate(SPACE), seen) is None


def test_pending_repeats_count() -> None:
    """Sixteen workers do not all repeat the same subset."""
    seen = tried(list(SPACE)[:20], noise=0.02, seed=5)
    repeated = []
    for _ in range(8):
        found = propose_trial(AUTO, seen, 1)
        if found.origin == Origin.REPEAT:
            repeated.append(found.subset)
            seen.append(Observation(found.subset, is_pending=True, seed=found.seed))
    assert len(set(repeated)) > 1
    assert len({(trial.subset, trial.seed) for trial in seen}) == len(seen)
