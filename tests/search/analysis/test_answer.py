"""The answer of a study: the best posterior mean, not the luckiest score."""

from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import Engine

from search.analysis.answer import (
    ALONE,
    NOTHING_KNOWN,
    SEEDS_UNKNOWN,
    find_answer,
    find_answers,
)
from search.analysis.chance import Chance, read_chance
from search.observation import Observation
from search.space import Subset, format_subset
from search.surrogate import Surrogate
from storage.leaderboard import rank_subsets, read_seed_variance
from storage.queue import Result, TaskResult
from storage.screens import ScreenedSubset, record_screened
from storage.studies import StudyRecord
from tests.support.landscapes import SHALLOW, additive, observe
from tests.support.landscapes import SPACE as LARGER
from tests.support.proposals import SPACE, tried, true_score
from tests.support.stores import begin, finish_trial, new_trial
from tests.support.study_files import short

# one depth


def test_the_answer_is_not_the_luckiest_score() -> None:
    """A bad subset that was lucky once does not win over its good neighbours."""
    seen = tried([s for s in SPACE if sum(s) % 2], noise=0.002, seed=1)
    lucky = (0, 4, 5, 7)
    seen = [trial for trial in seen if trial.subset != lucky]
    top = max(trial.score or 0 for trial in seen)
    seen.append(Observation(lucky, top + 0.001, seed=1))

    found = find_answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.subset != lucky
    assert true_score(found.subset) == max(true_score(trial.subset) for trial in seen)
    assert found.deviation is not None
    assert 0 < found.deviation < 0.02
    assert (found.trials, found.depth) == (1, 4)


def test_the_noise_of_a_trial_is_learned_from_its_seeds() -> None:
    seen = [t for seed in range(12) for t in tried(list(SPACE)[:20], noise=0.02, seed=seed)]
    posterior = Surrogate(SPACE).fit(seen)
    assert posterior is not None
    assert posterior.noise == pytest.approx(0.02, rel=0.15)

    found = find_answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.trials == 12
    assert found.deviation is not None
    assert found.deviation < 0.02 / 12**0.5 * 1.2
    own = [trial.score for trial in seen if trial.subset == found.subset]
    assert found.measured == pytest.approx(np.mean(np.array(own, dtype=float)))


def test_pending_trials_do_not_make_the_answer_clearer() -> None:
    seen = tried(list(SPACE)[:20], noise=0.02, seed=3)
    calm = find_answer(Surrogate(SPACE), seen)
    assert calm is not None
    pending = [Observation(calm.subset, is_pending=True, seed=seed) for seed in range(4, 9)]
    assert find_answer(Surrogate(SPACE), [*seen, *pending]) == calm


def test_more_seeds_make_the_answer_clearer() -> None:
    few, many = (
        find_answer(
            Surrogate(SPACE),
            [t for seed in range(seeds) for t in tried(list(SPACE)[:20], noise=0.02, seed=seed)],
        )
        for seeds in (1, 12)
    )
    assert few is not None
    assert many is not None
    assert few.probability is not None
    assert many.probability is not None
    assert 0 < few.probability < many.probability <= 1


def test_a_single_score_is_the_answer() -> None:
    found = find_answer(Surrogate(SPACE), tried([(0, 1, 2, 3)]))
    assert found is not None
    assert (found.subset, found.deviation, found.probability) == ((0, 1, 2, 3), None, None)
    assert found.remarks == ("one subset has a score: nothing to compare with",)
    assert found.mean == found.measured == true_score((0, 1, 2, 3))
    assert found.trials == 1


def test_without_scores_there_is_no_answer() -> None:
    seen = [Observation((0, 1, 2, 3)), Observation((0, 1, 2, 4), is_pending=True)]
    assert find_answer(Surrogate(SPACE), seen) is None


# the depths of a study in a store


def begin_study(engine: Engine, *, transfer: bool) -> StudyRecord:
    """Begin a study of depths 3 and 5 of twelve layers, whose sampler may transfer."""
    file = short().plain() | {"sampler": {"name": "gp", "startup": 4, "transfer": transfer}}
    return begin(engine, {3: 99, 5: 99}, file=file, layers=12)


def record(engine: Engine, study: StudyRecord, history: list[Observation]) -> None:
    """Run trials with these scores, the same in two tasks whose queries lie far apart."""
    for trial in history:
        score = trial.score or 0.0
        tasks = {
            task: TaskResult(score, {"a": score - apart, "b": score + apart})
            for task, apart in (("nq", 0.05), ("arg", 0.1))
        }
        result = Result(trial.score, tasks)
        finish_trial(engine, study, new_trial(trial.subset, trial.seed), result)


def test_each_depth_with_a_score_has_an_answer(engine: Engine) -> None:
    study = begin_study(engine, transfer=False)
    assert find_answers(engine, study, [3, 5]) == []
    history = observe(12)
    record(engine, study, history)

    (found,) = find_answers(engine, study, [3, 5])
    assert found.depth == 5
    space = LARGER.unconstrained(5)  # hand-picked subsets may be anywhere
    chance = read_chance(engine, study, 5)
    assert found == find_answer(Surrogate(space), history, chance)


def test_other_depths_count_where_the_sampler_learns_from_them(engine: Engine) -> None:
    own, others = observe(8, noise=0.002), observe(15, space=SHALLOW)
    study = begin_study(engine, transfer=True)
    record(engine, study, [*others, *own])
    (found,) = find_answers(engine, study, [5])
    surrogate = Surrogate(LARGER.unconstrained(5), transfer=True)
    chance = read_chance(engine, study, 5)
    assert found == find_answer(surrogate, [*others, *own], chance)
    assert found != find_answer(Surrogate(LARGER.unconstrained(5)), own, chance)


def test_screens_count_as_hints(engine: Engine) -> None:
    own = observe(12, noise=0.01)
    study = begin_study(engine, transfer=False)
    record(engine, study, own)
    (plain,) = find_answers(engine, study, [5])

    screened = [ScreenedSubset(subset, additive(subset), 0.0) for subset in LARGER]
    record_screened(engine, study.id, "untrained", screened)
    (hinted,) = find_answers(engine, study, [5])
    assert hinted.deviation is not None
    assert plain.deviation is not None
    assert hinted.deviation < plain.deviation


# what is not known


def queries_of(score: float, rng: np.random.Generator, noise: float = 0.1) -> Result:
    """Return a result of 40 queries with this mean, hard and easy ones among them."""
    scores = np.linspace(0, 0.4, 40) + rng.normal(0, noise, 40)
    scores += score - scores.mean()
    named = {f"q{number}": float(one) for number, one in enumerate(scores)}
    return Result(score, {"nq": TaskResult(score, named)})


def run(
    engine: Engine, scores: Sequence[float], *, seed: int = 0, study: StudyRecord | None = None
) -> StudyRecord:
    """Run a trial of each of the first subsets of depth 5, and return their study."""
    study = study or begin_study(engine, transfer=False)
    rng = np.random.default_rng(7)
    for subset, score in zip(LARGER, scores, strict=False):
        finish_trial(engine, study, new_trial(subset, seed), queries_of(score, rng))
    return study


def test_after_a_single_trial_nothing_is_known_of_p(engine: Engine) -> None:
    (found,) = find_answers(engine, run(engine, [0.5]), [5])
    assert (found.probability, found.tied, found.remarks) == (None, 0, (ALONE,))
    (row,) = rank_subsets(engine, "s", 5)
    assert found.deviation == pytest.approx(row["query_error"])  # chance in seeds is unknown


def test_two_close_scores_are_no_certainty(engine: Engine) -> None:
    """0.0001 apart with 40 queries: the deviation is that of the queries, and p a toss-up."""
    (found,) = find_answers(engine, run(engine, [0.5, 0.5001]), [5])
    assert found.tied == 1
    assert found.deviation is not None
    assert found.deviation > 0.01
    assert found.probability is not None
    assert 0.45 < found.probability < 0.55
    assert found.remarks == (SEEDS_UNKNOWN,)


def test_scores_alone_say_nothing(engine: Engine) -> None:
    """One task without queries, one seed each: the leaderboard knows no ties, either."""
    study = begin_study(engine, transfer=False)
    for number, subset in enumerate(list(LARGER)[:4]):
        finish_trial(engine, study, new_trial(subset), Result(0.5 + number / 100))
    (found,) = find_answers(engine, study, [5])
    assert (found.deviation, found.probability, found.tied) == (None, None, None)
    assert found.remarks == (NOTHING_KNOWN,)


def test_the_noise_is_no_less_than_what_other_depths_show(engine: Engine) -> None:
    study = run(engine, [0.5, 0.5001])
    (calm,) = find_answers(engine, study, [5])
    assert calm.deviation is not None
    for seed, score in enumerate((0.3, 0.34, 0.38, 0.42)):
        finish_trial(engine, study, new_trial((0, 1, 2), seed), Result(score))

    variance = float(np.var([0.3, 0.34, 0.38, 0.42], ddof=1))
    assert read_seed_variance(engine, study, 5) == pytest.approx(variance)
    (found,) = find_answers(engine, study, [5])
    assert found.deviation == pytest.approx((calm.deviation**2 + variance) ** 0.5, rel=1e-3)
    assert found.remarks == ()


def test_more_trials_than_few_trust_the_process(engine: Engine) -> None:
    """From 15 subsets on, neighbours may say more of a subset than its own seed does."""
    scores = [additive(subset) for subset in list(LARGER)[:20]]
    study = run(engine, scores)
    for seed, score in enumerate((0.3, 0.32, 0.34, 0.36)):
        finish_trial(engine, study, new_trial((0, 1, 2), seed), Result(score))
    variance = read_seed_variance(engine, study, 5)
    chance = read_chance(engine, study, 5)
    (found,) = find_answers(engine, study, [5])
    of_queries = chance.query_covariance([found.subset])
    assert of_queries is not None
    assert found.deviation is not None
    assert variance is not None
    assert found.deviation**2 < of_queries[0, 0] + variance


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_an_answer_never_contradicts_the_ties(engine: Engine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    study = begin_study(engine, transfer=False)
    for place in rng.permutation(LARGER.count)[: int(rng.integers(2, 30))]:
        subset = LARGER.unrank(int(place))
        score = additive(subset) + rng.normal(0, 0.02)
        finish_trial(engine, study, new_trial(subset), queries_of(score, rng, 0.03))

    (found,) = find_answers(engine, study, [5])
    rows = {row["subset"]: row for row in rank_subsets(engine, "s", 5)}
    tied = {key for key, row in rows.items() if row["tied"]}
    assert format_subset(found.subset) in tied
    assert found.tied == len(tied) - 1
    assert found.probability is not None
    assert found.probability <= (0.95 if len(tied) > 1 else 1)
    assert found.deviation is not None
    assert found.deviation >= rows[format_subset(found.subset)]["query_error"]


def chance_of(tied: set[Subset], variance: float) -> Chance:
    """Return a chance with these ties, whose queries are independent."""
    return Chance(frozenset(tied), frozenset(), None, lambda some: np.eye(len(some)) * variance)


def test_the_answer_is_one_of_the_tied() -> None:
    seen = tried(list(SPACE)[:20])
    plain = find_answer(Surrogate(SPACE), seen)
    assert plain is not None
    told_apart = {trial.subset for trial in seen[:3]} - {plain.subset}
    found = find_answer(Surrogate(SPACE), seen, chance_of(told_apart, 1e-4))
    assert found is not None
    assert found.subset in told_apart
    assert found.tied == len(told_apart) - 1


def test_a_clear_lead_is_clear_only_where_nothing_is_tied() -> None:
    seen = tried(list(SPACE)[:20])
    best = max(seen, key=lambda trial: trial.score or 0).subset
    other = next(trial.subset for trial in seen if trial.subset != best)
    alone = find_answer(Surrogate(SPACE), seen, chance_of({best}, 1e-10))
    tied = find_answer(Surrogate(SPACE), seen, chance_of({best, other}, 1e-10))
    assert alone is not None
    assert tied is not None
    assert alone.subset == tied.subset == best
    assert alone.probability == pytest.approx(1.0, abs=0.01)
    assert tied.probability == 0.95


def test_more_noise_of_queries_leaves_less_certainty() -> None:
    seen = tried(list(SPACE)[:20])
    everything = {trial.subset for trial in seen}
    found = [
        find_answer(Surrogate(SPACE), seen, chance_of(everything, variance))
        for variance in (1e-6, 1e-4, 1e-2)
    ]
    chances = [one.probability for one in found if one is not None and one.probability is not None]
    assert chances == sorted(chances, reverse=True)
    assert len(set(chances)) == 3
