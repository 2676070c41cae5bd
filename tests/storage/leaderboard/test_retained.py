"""The share of the reference that subsets retain, against Fieller's interval in NumPy."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import t as student
from sqlalchemy import Engine, select, update

from storage.database import read, write
from storage.leaderboard import best_per_depth, rank_subsets
from storage.leaderboard.freedom import freedom_of_queries, freedom_of_tasks
from storage.leaderboard.ties import interval_width
from storage.schema import Standing
from storage.states import Origin
from storage.studies import StudyRecord
from storage.values.subset_key import Subset, parse_subset
from tests.support.scores import (
    QUERIES,
    SUBSETS,
    ScoredTrial,
    averaged,
    draw_trials,
    query_variance,
    record_trials,
)
from tests.support.stores import begin, finish_trial, new_trial, queue_of

LAYERS = 10
WHOLE: Subset = tuple(range(LAYERS))


def begin_small(engine: Engine) -> StudyRecord:
    """Begin the study `s` of depth 3 over a base of 10 layers."""
    file = {"study": {"name": "s", "seed": 0}}
    return begin(engine, {3: 99, LAYERS: 0}, file=file, layers=LAYERS)


def of_whole(trials: Sequence[ScoredTrial], seeds: int = 1) -> list[ScoredTrial]:
    """Return trials of the whole base, a little better than the best subset on every query."""
    rng = np.random.default_rng(5)
    own = averaged(trials, SUBSETS[-1])
    hard = {task: values + 0.1 + rng.normal(0, 0.05, len(values)) for task, values in own.items()}
    found = []
    for seed in range(seeds):
        noise = rng.normal(0, 0.02)
        tasks = {task: [float(v) for v in values + noise] for task, values in hard.items()}
        found.append(ScoredTrial(WHOLE, seed, tasks, trials[0].queries))
    return found


def record_whole(engine: Engine, study: StudyRecord, trials: Sequence[ScoredTrial]) -> None:
    """Run the trials of the whole base as workers do."""
    for trial in trials:
        one = new_trial(trial.subset, trial.seed, Origin.REFERENCE)
        finish_trial(engine, study, one, trial.result)


def seed_variance(trials: Sequence[ScoredTrial]) -> float | None:
    """Return the variance between seeds, pooled over the subsets that have several."""
    by_subset: dict[Subset, list[float]] = {}
    for trial in trials:
        by_subset.setdefault(trial.subset, []).append(trial.mean)
    freedom = sum(len(means) - 1 for means in by_subset.values())
    squares = sum(float(np.sum((m - np.mean(m)) ** 2)) for m in map(np.array, by_subset.values()))
    return squares / freedom if freedom else None


def fieller(
    trials: Sequence[ScoredTrial], whole: Sequence[ScoredTrial], subset: Subset, *, queries: bool
) -> tuple[float, float]:
    """Return Fieller's interval as the roots of a polynomial."""
    own, other = averaged(trials, subset), averaged(whole, WHOLE)
    difference = {task: own[task] - other[task] for task in QUERIES}
    of_own, of_other, of_both = (
        query_variance(values, queries=queries) for values in (own, other, difference)
    )
    covariance = (of_own + of_other - of_both) / 2

    here, there = seed_variance(trials), seed_variance(whole)
    here, there = (here if here is not None else there), (there if there is not None else here)
    counts = [sum(t.subset == s for t in (*trials, *whole)) for s in (subset, WHOLE)]
    if here is not None and there is not None:
        of_own, of_other = of_own + here / counts[0], of_other + there / counts[1]

    x = float(np.mean([t.mean for t in trials if t.subset == subset]))
    y = float(np.mean([t.mean for t in whole]))
    shares = [1.0] * len(QUERIES)
    freedom = freedom_of_tasks(shares)
    if queries:
        freedom = freedom_of_queries(list(zip(shares, QUERIES.values(), strict=True)))
    z2 = float(student.ppf(0.975, freedom)) ** 2
    roots = np.roots([y**2 - z2 * of_other, -2 * (x * y - z2 * covariance), x**2 - z2 * of_own])
    low, high = sorted(float(root.real) for root in roots)
    return low, high


@pytest.mark.parametrize("freedom", [1, 2, 9, 12, 100, 500])
def test_width_of_an_interval_is_a_quantile_of_student(freedom: int) -> None:
    assert interval_width(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=0.006)


def test_nothing_to_judge_by_has_no_width() -> None:
    assert interval_width(0) == 0


@pytest.mark.parametrize("refreshed", [False, True])
@pytest.mark.parametrize(
    ("queries", "repeated", "seeds"),
    [(True, False, 1), (True, True, 1), (True, False, 3), (True, True, 3), (False, True, 2)],
)
def test_intervals_are_fiellers(
    engine: Engine, *, queries: bool, repeated: bool, seeds: int, refreshed: bool
) -> None:
    study = begin_small(engine)
    trials = draw_trials(4, queries=queries, repeated=repeated)
    whole = of_whole(trials, seeds)
    record_trials(engine, study, trials)
    record_whole(engine, study, whole)
    if refreshed:
        queue_of(engine, study).refresh_standings(LAYERS)

    rows = rank_subsets(engine, "s", 3)
    assert len(rows) == len(SUBSETS)
    reference = float(np.mean([trial.mean for trial in whole]))
    for row in rows:
        assert row["retained"] == pytest.approx(row["mean"] / reference)
        expected = fieller(trials, whole, parse_subset(row["subset"]), queries=queries)
        assert (row["retained_low"], row["retained_high"]) == pytest.approx(expected, rel=0.01)
        assert row["retained_low"] < row["retained"] < row["retained_high"]


def test_the_reference_retains_itself(engine: Engine) -> None:
    study = begin_small(engine)
    trials = draw_trials(4, queries=True, repeated=True)
    record_trials(engine, study, trials)
    record_whole(engine, study, of_whole(trials, 2))

    (row,) = rank_subsets(engine, "s", LAYERS)
    assert (row["retained"], row["retained_low"], row["retained_high"]) == (1, 1, 1)
    assert row["origin"] == "reference"


def test_leaders_of_depths_retain_what_the_leaderboard_says(engine: Engine) -> None:
    study = begin_small(engine)
    trials = draw_trials(4, queries=True, repeated=False)
    record_trials(engine, study, trials)
    record_whole(engine, study, of_whole(trials))

    leader = rank_subsets(engine, "s", 3)[0]
    row = best_per_depth(engine, "s")[0]
    names = ("retained", "retained_low", "retained_high")
    assert [row[name] for name in names] == [leader[name] for name in names]


def test_without_a_reference_nothing_is_known(engine: Engine) -> None:
    study = begin_small(engine)
    record_trials(engine, study, draw_trials(4, queries=True, repeated=False))

    for row in (*rank_subsets(engine, "s", 3), *best_per_depth(engine, "s")):
        assert (row["retained"], row["retained_low"], row["retained_high"]) == (None,) * 3


def test_means_alone_give_no_interval(engine: Engine) -> None:
    study = begin_small(engine)
    for subset, mean in (((0, 1, 2), 0.4), (WHOLE, 0.5)):
        alone = ScoredTrial(subset, 0, {"arg": [mean]}, queries=False)
        finish_trial(engine, study, new_trial(subset, origin=Origin.MANUAL), alone.result)

    (row,) = rank_subsets(engine, "s", 3)
    assert (row["retained"], row["retained_low"]) == (pytest.approx(0.8), None)


def test_a_reference_of_zero_has_no_share(engine: Engine) -> None:
    study = begin_small(engine)
    zero = {"arg": [0.0, 0.0], "nq": [0.0, 0.0]}
    for subset in ((0, 1, 2), WHOLE):
        zeroes = ScoredTrial(subset, 0, zero).result
        finish_trial(engine, study, new_trial(subset, origin=Origin.MANUAL), zeroes)

    (row,) = rank_subsets(engine, "s", 3)
    assert (row["retained"], row["retained_low"], row["retained_high"]) == (None,) * 3


def test_a_result_of_the_reference_refreshes_all_depths(engine: Engine) -> None:
    study = begin_small(engine)
    trials = draw_trials(4, queries=True, repeated=False)
    record_trials(engine, study, trials)
    queue = queue_of(engine, study)
    queue.refresh_standings(3)
    assert stored_references(engine) == {None}

    record_whole(engine, study, of_whole(trials))
    queue.refresh_standings(LAYERS)
    assert stored_references(engine) == {1}

    record_whole(engine, study, of_whole(trials, 2)[1:])
    queue.refresh_standings(LAYERS)
    assert stored_references(engine) == {2}


def test_the_view_takes_the_stored_variance(engine: Engine) -> None:
    study = begin_small(engine)
    trials = draw_trials(4, queries=True, repeated=False)
    record_trials(engine, study, trials)
    record_whole(engine, study, of_whole(trials))
    queue_of(engine, study).refresh_standings(LAYERS)
    before = rank_subsets(engine, "s", 3)

    with write(engine) as connection:
        connection.execute(update(Standing).values(reference_variance=0.0))
    assert rank_subsets(engine, "s", 3) != before

    with write(engine) as connection:  # out of date, it is not taken
        connection.execute(update(Standing).values(reference_seeds=7))
    assert rank_subsets(engine, "s", 3) == before


def stored_references(engine: Engine) -> set[int | None]:
    """Return the seeds of the reference that the variances of depth 3 were computed from."""
    with read(engine) as connection:
        rows = connection.execute(select(Standing.reference_seeds).where(Standing.depth == 3))
        return set(rows.scalars())
