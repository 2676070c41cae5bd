"""Two subsets side by side: against NumPy, on the model card, and on the command line."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from search import compare as comparing
from search import job as jobs
from search import studyfile, worker
from search.compare import Comparison
from search.errors import InputError
from storage import claims, comparison, errors, leaderboard, results, studies
from storage.comparison import Measured
from storage.results import Result, TaskResult

Cli = Callable[..., subprocess.CompletedProcess[str]]
SIZES = {"arg": 12, "fever": 30, "nq": 20}


class Quiet:
    """Nobody watches."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Whatever happens, nothing is said."""
        return lambda *_: None


def measured(number: int, subset: str = "0_1", **changed: Any) -> Measured:  # noqa: ANN401
    """Random scores of a subset on three tasks."""
    rng = np.random.default_rng(number)
    queries = {
        (task, f"q{place}"): float(rng.uniform())
        for task, size in SIZES.items()
        for place in range(size)
    }
    tasks = {task: mean_of(queries, task) for task in SIZES}
    given = {
        "subset": subset, "depth": 2, "seeds": 1, "tasks": tasks, "queries": queries,
        "seed_variance": None,
    }  # fmt: skip
    return Measured(**{**given, **changed})


def mean_of(queries: dict[tuple[str, str], float], task: str) -> float:
    """Mean over the queries of a task."""
    return float(np.mean([score for (name, _), score in queries.items() if name == task]))


def differences(first: Measured, second: Measured) -> list[Any]:
    """Differences query by query, an array for each task."""
    return [
        np.array([first.queries[key] - second.queries[key] for key in first.queries if key[0] == t])
        for t in SIZES
    ]


def test_queries_are_paired_within_their_task() -> None:
    first, second = measured(1), measured(2)
    found, arrays = comparing.compare(first, second), differences(first, second)
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
    first, second = measured(3), measured(4)
    found = comparing.compare(first, second)
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
    assert comparing.compare(first, second) == found  # drawn alike each time


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(60):
        scores = rng.normal(0.5, 0.3, (2, sum(SIZES.values())))
        scores[0] += 0.1
        keys = measured(0).queries
        both = []
        for row in scores.tolist():
            queries = dict(zip(keys, row, strict=True))
            tasks = {task: mean_of(queries, task) for task in SIZES}
            both.append(measured(0, queries=queries, tasks=tasks))
        found = comparing.compare(*both)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high
    assert held >= 51  # of 60, each with 0.95: fewer is one chance in a thousand


def test_order_turns_signs_and_nothing_else() -> None:
    first, second = measured(6, seeds=2, seed_variance=0.01), measured(7, seed_variance=0.02)
    one, other = comparing.compare(first, second), comparing.compare(second, first)
    assert one.difference == -other.difference
    assert (one.query_error, one.seed_error, one.error) == pytest.approx(
        (other.query_error, other.seed_error, other.error)
    )
    assert (one.first, one.second, one.seeds) == (other.second, other.first, other.seeds[::-1])
    assert other.low is not None
    assert other.high is not None
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.005)
    for task, turned in zip(one.tasks, other.tasks, strict=True):
        assert (task.difference, task.error) == (-turned.difference, pytest.approx(turned.error))


def test_subset_does_not_differ_from_itself() -> None:
    found = comparing.compare(measured(1), measured(1))
    assert (found.difference, found.error, found.low, found.high) == (0, 0, 0, 0)


def test_seeds_add_what_they_vary_by() -> None:
    first = measured(1, seeds=4, seed_variance=0.08)
    found = comparing.compare(first, measured(2, seeds=1, seed_variance=0.02))
    assert found.seed_error == pytest.approx(math.sqrt(0.02 + 0.02))
    assert found.query_error is not None
    assert found.error == pytest.approx(math.hypot(found.query_error, math.sqrt(0.04)))
    assert found.seeds == (4, 1)
    assert comparing.compare(first, measured(2)).seed_error is None


def test_tasks_are_paired_where_one_has_no_two_queries() -> None:
    first, second = measured(1), measured(2)
    only = {key: score for key, score in first.queries.items() if key[0] != "nq" or key[1] == "q0"}
    for queries in ({}, only):
        found = comparing.compare(measured(1, queries=queries), second)
        assert found.paired_over == "tasks"
        array = np.array([first.tasks[task] - second.tasks[task] for task in SIZES])
        assert found.difference == pytest.approx(array.mean())
        assert found.query_error == pytest.approx(array.std(ddof=1) / math.sqrt(3))


def test_only_what_both_have_is_compared() -> None:
    first, second = measured(1), measured(2, tasks={"nq": 0.25, "other": 1.0})
    found = comparing.compare(first, second)
    assert [task.task for task in found.tasks] == ["nq"]
    assert (found.second, found.difference) == (0.25, first.tasks["nq"] - 0.25)
    alone = comparing.compare(measured(1, queries={}), measured(2, tasks={"nq": 0.25}))
    assert (alone.error, alone.low, alone.high, alone.tasks[0].error) == (None, None, None, None)
    with pytest.raises(InputError, match="0_1 and 0_2 have no task in common"):
        comparing.compare(first, measured(2, "0_2", tasks={"other": 1.0}))


@pytest.fixture
def filled(engine: Engine) -> dict[str, list[Measured]]:
    """A study whose subsets have these scores, one for each seed."""
    study = studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={2: 9, 3: 9},
    )  # fmt: skip
    trials = {"0_1": [1, 2, 3], "0_2": [4], "0_3": [5, 6], "0_1_2": [7]}
    scores = {name: [measured(number, name) for number in own] for name, own in trials.items()}
    for subset, runs in scores.items():
        for seed, run in enumerate(runs):
            held = claims.claim(
                engine, study.id, subset.count("_") + 1, subset=subset, seed=seed, origin="swap",
                owner="w",
            )  # fmt: skip
            tasks = {
                task: TaskResult(
                    score, {query: value for (t, query), value in run.queries.items() if t == task}
                )
                for task, score in run.tasks.items()
            }
            results.finish(engine, held, Result(float(np.mean([*run.tasks.values()])), tasks))
    return scores


def test_store_averages_seeds_and_says_what_the_leaderboard_does(
    engine: Engine, filled: dict[str, list[Measured]]
) -> None:
    study = studies.find(engine, "s")
    found = {name: comparison.measured(engine, study, name) for name in filled}
    for name, runs in filled.items():
        assert (found[name].depth, found[name].seeds) == (name.count("_") + 1, len(runs))
        for field in ("tasks", "queries"):
            each = [getattr(run, field) for run in runs]
            wanted = {key: np.mean([one[key] for one in each]) for key in each[0]}
            assert getattr(found[name], field) == pytest.approx(wanted)
    assert found["0_1"].seed_variance == found["0_2"].seed_variance
    assert found["0_1_2"].seed_variance is None
    rows = {row["subset"]: row for row in leaderboard.ranking(engine, "s", 2)}
    (leader,) = (name for name, row in rows.items() if row["rank"] == 1)
    for name, row in rows.items():
        got = comparing.compare(found[name], found[leader])
        assert got.difference == pytest.approx(row["difference"], abs=1e-12)
        if name != leader:
            assert got.error == pytest.approx(row["difference_error"])
    with pytest.raises(errors.InputError, match="0_9 has no score in study 's'"):
        comparison.measured(engine, study, "0_9")


@pytest.fixture
def card(engine: Engine, card_study: Path) -> Engine:
    """A store in which a worker has replayed every row of the model card."""
    file = studyfile.read(card_study)
    job = jobs.begin(engine, file, card_study.parent, file.evaluator_for(card_study.parent))
    worker.work(job, Quiet())
    job.mirror.close()
    return engine


def test_card_is_judged_as_published(card: Engine) -> None:
    study = studies.find(card, "card")

    def against(front: str) -> Comparison:
        ends = (comparison.measured(card, study, f"{front}_{last}") for last in (18, 21))
        return comparing.compare(*ends)

    expected = {
        "0_1_2": (-0.0028, 0.0042),
        "0_1_2_3_4_5": (0.0064, 0.0103),
        "0_1_2_3_4_5_6_7_8_9_10_11": (0.0165, 0.0063),
    }
    for front, (difference, error) in expected.items():
        found = against(front)
        assert found.error is not None
        assert found.difference == pytest.approx(difference, abs=0.0001)
        assert round(found.error, 4) == error
        assert found.paired_over == "tasks"
    (row,) = (r for r in leaderboard.ranking(card, "card", 4) if r["subset"] == "0_1_2_18")
    shown = (round(row["difference"], 4), round(row["difference_error"], 4), row["tied"])
    assert shown == (-0.0028, 0.0042, 1)
    leaders = {best["depth"]: best["leader"] for best in leaderboard.best(card, "card")}
    assert leaders[4] == "0_1_2_21"


def test_command_prints_the_comparison(
    filled: dict[str, list[Measured]], store_url: str, cli: Cli
) -> None:
    assert "0_1" in filled
    words = ["compare", "s", "0_1", "0_2", "--store", store_url]
    plain, machine = cli(*words), cli(*words, "--json")
    assert (plain.returncode, plain.stderr, machine.returncode) == (0, "", 0)
    found = json.loads(machine.stdout)
    assert (found["study"], found["subsets"]) == ("s", ["0_1", "0_2"])
    assert (found["seeds"], found["paired_over"]) == ([3, 1], "queries")
    assert [task["task"] for task in found["tasks"]] == sorted(SIZES)
    assert f"difference {found['difference']:+.4f} +/- {found['error']:.4f}" in plain.stdout
    assert f"{found['low']:+.4f} to {found['high']:+.4f}" in plain.stdout
    assert f"{found['seed_error']:.4f} stems from the seeds" in plain.stdout


def test_bad_words_are_refused_in_one_line(
    filled: dict[str, list[Measured]], store_url: str, cli: Cli
) -> None:
    assert "0_9" not in filled
    wrong = {
        "0_9 has no score in study 's'": ["s", "0_1", "0_9"],
        "'0_x' is not a subset": ["s", "0_1", "0_x"],
        "the store has no study 'nobody'": ["nobody", "0_1", "0_2"],
    }
    for reason, words in wrong.items():
        done = cli("compare", *words, "--store", store_url, "--json")
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
