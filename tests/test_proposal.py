"""What is tried next: baselines first, then repeats or new subsets."""

import random
from collections.abc import Sequence

import pytest

from search import samplers
from search.answer import answer, worth_repeating
from search.errors import SpaceExhaustedError
from search.job import DepthPlan
from search.proposal import Proposal, propose
from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import Surrogate

SPACE = LayerSpace(8, 4, None, "free")  # 35 subsets


def truth(subset: Subset) -> float:
    """Early layers and layer 6 help."""
    return 0.3 + sum(0.01 * (8 - layer) for layer in subset) + 0.05 * (6 in subset)


def tried(subsets: Sequence[Subset], noise: float = 0.0, seed: int = 0) -> list[Observation]:
    """Complete trials of `subsets`."""
    rng = random.Random(seed)
    return [
        Observation(subset, "complete", truth(subset) + rng.gauss(0, noise), seed)
        for subset in subsets
    ]


def plan(**changed: object) -> DepthPlan:
    """A plan over the space; `uniform` unless told."""
    given: dict[str, object] = {
        "space": SPACE, "sampler": samplers.load("uniform")(SPACE), "sampler_name": "uniform",
        "first": (), "seed": 5,
    }  # fmt: skip
    return DepthPlan(**{**given, **changed})  # type: ignore[arg-type]


def test_baselines_come_first_then_the_sampler() -> None:
    chosen = plan(first=[(4, 5, 6, 7), (0, 1, 2, 3)])
    assert propose(chosen, [], 9) == Proposal((4, 5, 6, 7), 5, "first")
    seen = [Observation((4, 5, 6, 7), "running", seed=5)]
    assert propose(chosen, seen, 8) == Proposal((0, 1, 2, 3), 5, "first")
    seen.append(Observation((0, 1, 2, 3), "failed", seed=5))
    found = propose(chosen, seen, 7)
    assert (found.seed, found.origin) == (5, "uniform")
    assert found.subset not in {trial.subset for trial in seen}


def test_every_subset_gets_its_replicates() -> None:
    chosen = plan(replicates=3)
    seen: list[Observation] = []
    for _ in range(12):
        found = propose(chosen, seen, 99)
        seen.append(Observation(found.subset, "complete", 0.5, found.seed))
    assert [trial.seed for trial in seen] == [5, 6, 7] * 4
    assert len({trial.subset for trial in seen}) == 4


def test_a_subset_that_failed_is_not_replicated() -> None:
    seen = [Observation((0, 1, 2, 3), "failed", seed=5)]
    assert propose(plan(replicates=2), seen, 9).origin == "uniform"


def test_workers_side_by_side_share_the_replicates() -> None:
    """A running trial counts as one of the seeds."""
    seen = [Observation((0, 1, 2, 3), "running", seed=5)]
    assert propose(plan(replicates=2), seen, 9) == Proposal((0, 1, 2, 3), 6, "repeat")
    seen.append(Observation((0, 1, 2, 3), "running", seed=6))
    assert propose(plan(replicates=2), seen, 9).origin == "uniform"


def test_all_replicates_of_all_subsets_end_the_study() -> None:
    chosen = plan(replicates=2)
    seen: list[Observation] = []
    for _ in range(70):
        found = propose(chosen, seen, 99)
        seen.append(Observation(found.subset, "complete", truth(found.subset), found.seed))
    with pytest.raises(SpaceExhaustedError):
        propose(chosen, seen, 99)
    assert len({(trial.subset, trial.seed) for trial in seen}) == len(seen) == 70


def test_auto_repeats_at_the_end_those_that_may_be_the_best() -> None:
    chosen = plan(replicates="auto")
    seen = tried(list(SPACE)[:12], noise=0.02, seed=5)
    assert propose(chosen, seen, 20).origin == "uniform"  # too few to say what may be best
    late = propose(chosen, seen, 2)
    assert late.origin == "repeat"
    assert late.seed == 6
    best = sorted(seen, key=lambda trial: -(trial.score or 0))[:8]
    assert late.subset in {trial.subset for trial in best}


def test_auto_repeats_earlier_where_new_subsets_promise_less() -> None:
    """The best are tried, and noise hides which of them leads: the new one is among the worst."""
    best_first = sorted(SPACE, key=truth, reverse=True)
    seen = tried(best_first[:25], noise=0.01, seed=5)
    judge, worst, left = plan(replicates="auto").judge, best_first[-1], best_first[25:-1]
    again = worth_repeating(judge, seen, instead=worst)
    assert again in best_first[:8]
    sure = [t for seed in range(40) for t in tried(best_first[:25], noise=0.01, seed=seed)]
    assert worth_repeating(judge, sure) is None  # the answer is clear
    unsure = tried([*left, worst], noise=0.001, seed=5) + tried(best_first[18:25], 0.001, 5)
    assert worth_repeating(judge, unsure, instead=best_first[0]) is None  # new ground


def test_auto_repeats_no_more_when_a_seed_changes_nothing() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    again = propose(plan(replicates="auto"), seen, 30).subset
    (score,) = [trial.score for trial in seen if trial.subset == again]
    once, twice, other = (
        [*seen, *(Observation(again, "complete", value, 6 + n) for n, value in enumerate(values))]
        for values in ((score,), (score, score), (score, score + 0.001))
    )
    for noisy in (once, other):
        assert propose(plan(replicates="auto"), noisy, 30).origin == "repeat"
    with pytest.raises(SpaceExhaustedError):
        propose(plan(replicates="auto"), twice, 30)


def test_auto_goes_on_with_new_subsets_when_the_leader_is_clear() -> None:
    seen = tried([(0, 1, 2, 6), (0, 5, 6, 7), (0, 3, 5, 7), (0, 4, 5, 7), (0, 2, 5, 7)])
    seen += tried([(0, 1, 2, 6)], seed=1) * 3
    assert propose(plan(replicates="auto"), seen, 1).origin == "uniform"


def test_auto_spends_the_rest_of_a_tried_space_on_repeats() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    found = propose(plan(replicates="auto"), seen, 30)
    assert found.origin == "repeat"
    with pytest.raises(SpaceExhaustedError):
        propose(plan(replicates=1), seen, 30)


def test_the_answer_is_not_the_luckiest_score() -> None:
    """A bad subset that was lucky once does not win over its good neighbours."""
    seen = tried([s for s in SPACE if sum(s) % 2], noise=0.002, seed=1)
    lucky = (0, 4, 5, 7)
    seen = [trial for trial in seen if trial.subset != lucky]
    top = max(trial.score or 0 for trial in seen)
    seen.append(Observation(lucky, "complete", top + 0.001, 1))
    found = answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.subset != lucky
    assert truth(found.subset) == max(truth(trial.subset) for trial in seen)
    assert 0 < found.deviation < 0.02
    assert found.trials == 1


def test_the_noise_of_a_trial_is_learned_from_its_seeds() -> None:
    seen = [t for seed in range(12) for t in tried(list(SPACE)[:20], noise=0.02, seed=seed)]
    posterior = Surrogate(SPACE).fit(seen)
    assert posterior is not None
    assert posterior.noise == pytest.approx(0.02, rel=0.15)
    found = answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.trials == 12
    assert found.deviation < 0.02 / 12**0.5 * 1.2


def test_running_trials_do_not_make_the_answer_clearer() -> None:
    seen = tried(list(SPACE)[:20], noise=0.02, seed=3)
    calm = answer(Surrogate(SPACE), seen)
    assert calm is not None
    running = [Observation(calm.subset, "running", None, seed) for seed in range(4, 9)]
    assert answer(Surrogate(SPACE), [*seen, *running]) == calm


def test_a_single_score_is_the_answer() -> None:
    found = answer(Surrogate(SPACE), tried([(0, 1, 2, 3)]))
    assert found is not None
    assert (found.subset, found.deviation, found.probability) == ((0, 1, 2, 3), None, 1.0)


def test_a_baseline_outside_the_space_may_be_the_answer_and_be_repeated() -> None:
    """Only layer 7 is left out of the space, and it is what helps."""
    space = LayerSpace(8, 4, None, "free", forbidden=frozenset({7}))
    chosen = plan(space=space, sampler=samplers.load("uniform")(space), replicates="auto")
    rng = random.Random(1)
    inside = [s for s in SPACE if 7 not in s][:14]
    seen = [Observation(s, "complete", 0.4 + rng.gauss(0, 0.01)) for s in inside]
    seen += [Observation(s, "complete", 0.43) for s in SPACE if 7 in s][:6]
    found = answer(chosen.judge, seen)
    assert found is not None
    assert 7 in found.subset
    late = propose(chosen, seen, 1)
    assert late.origin == "repeat"
    assert 7 in late.subset


def test_a_subset_whose_repeat_failed_is_not_repeated_again() -> None:
    seen = tried(list(SPACE), noise=0.02, seed=5)
    chosen = plan(replicates="auto")
    repeated = []
    for _ in range(4):
        found = propose(chosen, seen, 9)
        repeated.append(found.subset)
        seen.append(Observation(found.subset, "failed", None, found.seed))
    assert len(set(repeated)) == 4


def test_without_scores_there_is_no_answer_and_nothing_to_repeat() -> None:
    seen = [Observation((0, 1, 2, 3), "failed"), Observation((0, 1, 2, 4), "running")]
    assert answer(Surrogate(SPACE), seen) is None
    assert worth_repeating(Surrogate(SPACE), seen) is None


def test_repeats_that_run_already_count() -> None:
    """Sixteen workers do not all repeat the same subset."""
    seen = tried(list(SPACE)[:20], noise=0.02, seed=5)
    chosen = plan(replicates="auto")
    repeated = []
    for _ in range(8):
        found = propose(chosen, seen, 1)
        if found.origin == "repeat":
            repeated.append(found.subset)
            seen.append(Observation(found.subset, "running", None, found.seed))
    assert len(set(repeated)) > 1
    assert len({(trial.subset, trial.seed) for trial in seen}) == len(seen)
