"""Two subsets side by side: against NumPy, the leaderboard and the model card."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from search.analysis.comparison import Comparison, _variance_of_tasks, compare_subsets
from search.errors import InputError
from storage.leaderboard import MeasuredSubset, rank_subsets, read_measured
from storage.studies import TaskShare
from storage.values.subset_key import parse_subset
from tests.support.card import record_card
from tests.support.measured import SIZES, measure, record_runs, result_of, with_queries
from tests.support.scores import (
    QUERIES,
    averaged,
    begin_scored,
    draw_trials,
    leaderboard_rows,
    record_trials,
)
from tests.support.stores import begin, finish_trial, new_trial

LAST = ((0, 1, 2), (0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
"""The layers before the last one, at each depth of the card."""


def differences(first: MeasuredSubset, second: MeasuredSubset) -> list[NDArray[np.float64]]:
    """Return the differences query by query, an array for each task."""
    return [
        np.array([first.queries[key] - second.queries[key] for key in first.queries if key[0] == t])
        for t in SIZES
    ]


# against NumPy


def test_queries_are_paired_within_their_task() -> None:
    first, second = measure(1), measure(2)
    found, arrays = compare_subsets(first, second), differences(first, second)
    assert found.paired_over == "queries"
    assert found.first == pytest.approx(np.mean([*first.tasks.values()]))
    assert found.second == pytest.approx(np.mean([*second.tasks.values()]))
    assert found.difference == pytest.approx(np.mean([array.mean() for array in arrays]))

    parts = [array.var(ddof=1) / len(array) for array in arrays]
    assert found.query_error == pytest.approx(math.sqrt(sum(parts)) / 3)
    assert found.error == found.query_error
    assert found.seed_error is None
    for task, array, part in zip(found.tasks, arrays, parts, strict=True):
        assert task.difference == pytest.approx(array.mean())
        assert task.error == pytest.approx(math.sqrt(part))
        assert task.queries == SIZES[task.task]


def test_interval_is_that_of_a_bootstrap_within_tasks() -> None:
    first, second = measure(3), measure(4)
    found = compare_subsets(first, second)
    rng = np.random.default_rng(9)
    drawn = np.mean(
        [
            array[rng.integers(0, len(array), (20_000, len(array)))].mean(axis=1)
            for array in differences(first, second)
        ],
        axis=0,
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert compare_subsets(first, second) == found  # drawn alike each time


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0

    for _ in range(60):
        scores = rng.normal(0.5, 0.3, (2, sum(SIZES.values())))
        scores[0] += 0.1
        keys = measure(0).queries
        both = [
            with_queries(measure(0), dict(zip(keys, row, strict=True))) for row in scores.tolist()
        ]
        found = compare_subsets(*both)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high

    assert held >= 51  # of 60, each with 0.95: fewer is one chance in a thousand


# shares

SHARES = {"arg": 0.5, "fever": 0.125, "nq": 0.375}
"""Shares of the tasks of `SIZES`."""


def test_tasks_count_by_their_shares() -> None:
    first, second = (replace(measure(number), shares=SHARES) for number in (1, 2))
    found, arrays = compare_subsets(first, second), differences(first, second)
    shares = [SHARES[task] for task in SIZES]

    assert found.first == pytest.approx(sum(SHARES[t] * first.tasks[t] for t in SIZES))
    assert found.difference == pytest.approx(np.dot(shares, [array.mean() for array in arrays]))
    parts = [a**2 * d.var(ddof=1) / len(d) for a, d in zip(shares, arrays, strict=True)]
    assert found.query_error == pytest.approx(math.sqrt(sum(parts)))

    rng = np.random.default_rng(9)
    drawn = [array[rng.integers(0, len(array), (20_000, len(array)))] for array in arrays]
    means = np.dot(shares, [sample.mean(axis=1) for sample in drawn])
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))


def test_tasks_as_units_are_drawn_with_their_shares() -> None:
    first, second = (replace(measure(n), shares=SHARES, queries={}) for n in (1, 2))
    found = compare_subsets(first, second)
    shares = np.array([SHARES[task] for task in SIZES])
    values = np.array([first.tasks[task] - second.tasks[task] for task in SIZES])

    mean, squares = float(shares @ values), float(shares @ shares)
    variance = float(shares @ (values - mean) ** 2) * squares / (1 - squares)
    assert found.paired_over == "tasks"
    assert found.difference == pytest.approx(mean)
    assert found.query_error == pytest.approx(math.sqrt(variance))

    places = np.random.default_rng(9).integers(0, 3, (20_000, 3))
    drawn = np.sum(shares[places] * values[places], axis=1) / np.sum(shares[places], axis=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_the_variance_over_tasks_has_no_bias() -> None:
    """Over draws of tasks from one population its mean is the variance of the mean."""
    shares = [0.6, 0.2, 0.1, 0.1]
    drawn = np.random.default_rng(2).normal(0.5, 0.1, (20_000, 4))
    estimates = [_variance_of_tasks(row, shares) or 0.0 for row in drawn.tolist()]
    assert np.mean(estimates) == pytest.approx(float(np.var(drawn @ shares)), rel=0.03)


def test_only_shared_tasks_share_the_mean() -> None:
    first, second = (replace(measure(number), shares=SHARES) for number in (1, 2))
    second = replace(second, tasks={t: second.tasks[t] for t in ("arg", "nq")})
    found = compare_subsets(first, second)
    weighted = 0.5 * first.tasks["arg"] + 0.375 * first.tasks["nq"]
    assert found.first == pytest.approx(weighted / 0.875)


def test_comparison_and_leaderboard_weigh_alike(engine: Engine) -> None:
    tasks = {task: TaskShare("set", share) for task, share in SHARES.items()}
    study = begin(engine, {2: 9}, tasks=tasks)
    for layer in (1, 2):
        run = measure(layer)
        result = replace(result_of(run), mean=sum(SHARES[t] * run.tasks[t] for t in SIZES))
        finish_trial(engine, study, new_trial((0, layer)), result)

    leader, other = rank_subsets(engine, "s")
    both = [parse_subset(row["subset"]) for row in (other, leader)]
    found = compare_subsets(*(read_measured(engine, study, one) for one in both))
    assert found.difference == pytest.approx(other["difference"])
    assert found.error == pytest.approx(other["difference_error"])
    assert found.second == pytest.approx(leader["mean"])


# both ways


def test_order_turns_signs_and_nothing_else() -> None:
    first = replace(measure(6), seeds=2, seed_variance=0.01)
    second = replace(measure(7), seed_variance=0.02)
    one, other = compare_subsets(first, second), compare_subsets(second, first)

    assert one.difference == -other.difference
    assert (one.query_error, one.seed_error, one.error) == pytest.approx(
        (other.query_error, other.seed_error, other.error)
    )
    assert (one.first, one.second, one.seeds) == (other.second, other.first, other.seeds[::-1])

    assert other.low is not None
    assert other.high is not None
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.005)
    for task, turned in zip(one.tasks, other.tasks, strict=True):
        assert task.difference == -turned.difference
        assert task.error == pytest.approx(turned.error)


def test_subset_does_not_differ_from_itself() -> None:
    found = compare_subsets(measure(1), measure(1))
    assert (found.difference, found.error, found.low, found.high) == (0, 0, 0, 0)


# seeds and tasks


def test_seeds_add_what_they_vary_by() -> None:
    first = replace(measure(1), seeds=4, seed_variance=0.08)
    found = compare_subsets(first, replace(measure(2), seed_variance=0.02))
    assert found.seed_error == pytest.approx(math.sqrt(0.02 + 0.02))
    assert found.query_error is not None
    assert found.error == pytest.approx(math.hypot(found.query_error, math.sqrt(0.04)))
    assert found.seeds == (4, 1)
    assert compare_subsets(first, measure(2)).seed_error is None


def test_tasks_are_paired_where_one_has_no_two_queries() -> None:
    first, second = measure(1), measure(2)
    only = {key: score for key, score in first.queries.items() if key[0] != "nq" or key[1] == "q0"}
    for queries in ({}, only):
        found = compare_subsets(replace(first, queries=queries), second)
        assert found.paired_over == "tasks"
        array = np.array([first.tasks[task] - second.tasks[task] for task in SIZES])
        assert found.difference == pytest.approx(array.mean())
        assert found.query_error == pytest.approx(array.std(ddof=1) / math.sqrt(3))


def test_only_tasks_that_both_have_are_compared() -> None:
    first, second = measure(1), replace(measure(2), tasks={"nq": 0.25, "other": 1.0})
    found = compare_subsets(first, second)
    assert [task.task for task in found.tasks] == ["nq"]
    assert (found.second, found.difference) == (0.25, first.tasks["nq"] - 0.25)

    nothing: dict[tuple[str, str], float] = {}
    alone = compare_subsets(
        replace(first, queries=nothing), replace(measure(2), tasks={"nq": 0.25})
    )
    assert (alone.error, alone.low, alone.high, alone.tasks[0].error) == (None, None, None, None)
    with pytest.raises(InputError, match="0_1 and 0_2 have no task in common"):
        compare_subsets(first, replace(measure(2, (0, 2)), tasks={"other": 1.0}))


# against the leaderboard


def test_comparison_says_what_the_leaderboard_does(engine: Engine) -> None:
    study, scores = record_runs(engine)
    found = {subset: read_measured(engine, study, subset) for subset in scores}
    rows = {parse_subset(row["subset"]): row for row in rank_subsets(engine, "s", 2)}
    (leader,) = (subset for subset, row in rows.items() if row["rank"] == 1)
    for subset, row in rows.items():
        got = compare_subsets(found[subset], found[leader])
        assert got.difference == pytest.approx(row["difference"], abs=1e-12)
        if subset != leader:
            assert got.error == pytest.approx(row["difference_error"])


@pytest.mark.slow
def test_compare_equals_the_leaderboard_and_a_bootstrap_of_our_own(engine: Engine) -> None:
    study = begin_scored(engine)
    trials = draw_trials(3, queries=True, repeated=True)
    record_trials(engine, study, trials)
    rows = leaderboard_rows(engine)
    leader = max(rows, key=lambda subset: float(rows[subset]["mean"]))
    other = next(subset for subset in rows if subset != leader)

    found = compare_subsets(*(read_measured(engine, study, s) for s in (other, leader)))
    assert found.difference == pytest.approx(rows[other]["difference"])
    assert found.error == pytest.approx(rows[other]["difference_error"])

    rng = np.random.default_rng(7)
    own, lead = averaged(trials, other), averaged(trials, leader)
    drawn = [
        np.mean([np.mean(rng.choice(own[t] - lead[t], n)) for t, n in QUERIES.items()])
        for _ in range(4000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


# on the card


def test_layers_18_and_21_are_told_apart_at_depth_13_alone(
    engine: Engine, card_rows: list[dict[str, str]]
) -> None:
    study = record_card(engine, card_rows)

    def against(front: tuple[int, ...]) -> tuple[Comparison, Comparison]:
        both = [read_measured(engine, study, (*front, last)) for last in (18, 21)]
        return compare_subsets(*both), compare_subsets(*reversed(both))

    published: list[tuple[Any, ...]] = [(-0.0028, 0.0042), (0.0064, 0.0103), (0.0165, 0.0063)]
    for front, (difference, error) in zip(LAST, published, strict=True):
        found, back = against(front)
        assert found.paired_over == "tasks"
        assert found.error is not None
        assert found.difference == pytest.approx(difference, abs=0.0001)
        assert round(found.difference, 4) == pytest.approx(difference, abs=1.01e-4)
        assert round(found.error, 4) == error

        supported = found.low is not None and found.high is not None and found.low * found.high > 0
        assert supported == (len(front) + 1 == 13)
        assert back.difference == -found.difference
        assert back.error == found.error
