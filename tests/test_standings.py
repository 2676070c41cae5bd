"""Standings against a NumPy reference: means, errors, ties, leaders and picks, live and stored."""

import itertools
import math
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from storage import claims, leaderboard, results, setup, standings, studies
from storage import engine as engines
from storage.results import Result, TaskResult
from storage.ties import critical_value

SUBSETS = ["0_1", "0_2", "0_21", "1_2", "3_7", "20_21", "0_10", "1_21"]
UNCERTAIN = 1e-9  # sums in another order differ by less
NUMBERS = itertools.count()
PARTS = ("query_error", "seed_error", "standard_error", "difference", "difference_error")


@dataclass(frozen=True)
class Run:
    """One trial: scores by task and query; without tasks the mean alone, without mean a failure."""

    subset: str
    seed: int
    mean: float | None
    tasks: dict[str, float]
    queries: dict[tuple[str, str], float]

    @property
    def result(self) -> Result:
        """What its worker records."""
        if self.mean is None:
            return Result(None, error="the loss is NaN")
        found: dict[str, dict[str, float]] = {task: {} for task in self.tasks}
        for (task, query), score in self.queries.items():
            found[task][query] = score
        tasks = {task: TaskResult(self.tasks[task], found[task]) for task in found}
        return Result(self.mean, tasks)


def scored(subset: str, seed: int, table: list[list[float]], form: str = "queries") -> Run:
    """A complete trial with the query scores of `table`, a row for each task."""
    means = [math.fsum(row) / len(row) for row in table]
    mean = math.fsum(means) / len(means)
    tasks = {} if form == "mean" else {f"t{number}": value for number, value in enumerate(means)}
    queries = {
        (f"t{number}", f"q{place}"): value
        for number, row in enumerate(table)
        for place, value in enumerate(row)
    }
    return Run(subset, seed, mean, tasks, queries if form == "queries" else {})


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Run], int]:
    """The trials of a study in the order they end, and how many of them end before a refresh."""
    form = draw(st.sampled_from(["queries", "queries", "task", "mean"]))
    sizes = draw(st.lists(st.integers(2, 6), min_size=2, max_size=4))
    if draw(st.integers(0, 4)) == 0:
        sizes[0] = 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chosen = rng.permutation(SUBSETS)[: draw(st.integers(3, 8))]
    drawn: list[Run] = []
    level = [rng.uniform(0.2, 0.8, size) for size in sizes]
    for subset in map(str, chosen):
        shift = rng.normal(0, 0.05)
        for seed in range(int(rng.integers(1, 4)) if form != "mean" else 1):
            if rng.random() < 0.1:
                drawn.append(Run(subset, seed, None, {}, {}))
                continue
            table = [list(row + shift + rng.normal(0, 0.1, len(row))) for row in level]
            drawn.append(scored(subset, seed, table, form))
    alone = [run.subset for run in drawn if run.mean is not None]
    spare = [name for name in SUBSETS if name not in chosen]
    if spare and alone:  # a tie of means, whose queries differ where there are several
        (*_, twin) = (run for run in drawn if run.mean is not None)
        queries = dict(zip(twin.queries, [*twin.queries.values()], strict=True))
        for task in twin.tasks:
            mine = [where for where in queries if where[0] == task]
            turned = [queries[where] for where in mine]
            queries |= dict(zip(mine, turned[::-1], strict=True))
        drawn.append(Run(spare[0], 0, twin.mean, twin.tasks, queries))
    ordered = [drawn[place] for place in rng.permutation(len(drawn))]
    return ordered, int(rng.integers(0, len(ordered) + 1))


def begin(engine: Engine, name: str | None = None) -> studies.StudyRecord:
    """An empty study with room at depth 2."""
    name = name or f"s{next(NUMBERS)}"
    return studies.begin(
        engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={2: 99},
    )  # fmt: skip


def record(engine: Engine, study: studies.StudyRecord, drawn: list[Run]) -> None:
    """Record `drawn` the way workers do."""
    for run in drawn:
        held = claims.claim(
            engine, study.id, 2, subset=run.subset, seed=run.seed, origin="swap", owner="w"
        )
        assert results.finish(engine, held, run.result)


def averaged(group: list[Run], field: str) -> dict[Any, float]:
    """The scores of one subset by task or by query, averaged over its seeds."""
    return {
        key: float(np.mean([getattr(run, field)[key] for run in group]))
        for key in getattr(group[0], field)
    }


def error(queries: dict[tuple[str, str], float], tasks: dict[str, float]) -> float | None:
    """Standard error of a mean: sqrt(sum_t s_t^2 / n_t) / T, or over tasks."""
    groups: dict[str, list[float]] = defaultdict(list)
    for (task, _), value in queries.items():
        groups[task].append(value)
    if groups and min(map(len, groups.values())) > 1:
        parts = [np.var(group, ddof=1) / len(group) for group in groups.values()]
        return float(np.sqrt(sum(parts)) / len(groups))
    if len(tasks) > 1:
        return float(np.std([*tasks.values()], ddof=1) / np.sqrt(len(tasks)))
    return None


def combined(*errors: float | None) -> float | None:
    """Independent errors together, as far as they are known."""
    known = [value**2 for value in errors if value is not None]
    return math.sqrt(sum(known)) if known else None


def reference(drawn: list[Run]) -> dict[str, dict[str, Any]]:
    """What the leaderboard must say of each subset."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in drawn:
        if run.mean is not None:
            groups[run.subset].append(run)
    means = {name: [run.mean for run in group] for name, group in groups.items()}
    board = {
        name: {"mean": sum(found) / len(found), "seeds": len(found), "order": simplicity(name)}
        for name, found in means.items()
    }
    if not board:
        return {}
    leader = min(board, key=lambda name: (-board[name]["mean"], *board[name]["order"]))
    freedoms = sum(len(found) - 1 for found in means.values())
    pooled = sum(float(np.var(found)) * len(found) for found in means.values())
    seed_variance = pooled / freedoms if freedoms else None
    first = groups[leader][0]
    sizes = np.unique([task for task, _ in first.queries], return_counts=True)[1]
    by_query = len(sizes) > 0 and sizes.min() > 1
    freedom = int(sum(sizes) - len(sizes)) if by_query else len(first.tasks) - 1
    critical = critical_value(len(board) - 1, freedom)
    theirs = [averaged(groups[leader], field) for field in ("queries", "tasks")]
    for name, row in board.items():
        mine = [averaged(groups[name], field) for field in ("queries", "tasks")]
        pairs = [
            {key: one[key] - other[key] for key in one}
            for one, other in zip(mine, theirs, strict=True)
        ]
        alone, both = 1 / row["seeds"], 1 / row["seeds"] + 1 / board[leader]["seeds"]
        seed_error, between = (
            None if seed_variance is None else math.sqrt(seed_variance * part)
            for part in (alone, both)
        )
        gap = combined(error(*pairs), between)
        row["query_error"], row["seed_error"] = error(*mine), seed_error
        row["standard_error"] = combined(error(*mine), seed_error)
        row["difference"] = row["mean"] - board[leader]["mean"]
        row["difference_error"] = 0.0 if name == leader else gap
        margin = None if gap is None else critical * gap + row["difference"]
        row["margin"] = math.inf if name == leader else margin
        row["leader"] = leader
    return board


def simplicity(subset: str) -> tuple[int, list[int]]:
    """Breaks between consecutive layers, then the layers."""
    kept = [int(layer) for layer in subset.split("_")]
    return sum(high - low > 1 for low, high in itertools.pairwise(kept)), kept


def check(engine: Engine, study: str, drawn: list[Run]) -> None:
    """The views say of the study what the reference does."""
    expected = reference(drawn)
    rows = {row["subset"]: row for row in leaderboard.ranking(engine, study)}
    assert rows.keys() == expected.keys()
    tied: dict[str, int | None] = {}
    for name, row in rows.items():
        wanted = expected[name]
        assert (row["mean"], row["seeds"]) == (wanted["mean"], wanted["seeds"])
        for part in PARTS:
            assert row[part] == pytest.approx(wanted[part], rel=1e-6, abs=1e-7), (name, part)
        better = [other for other in expected.values() if other["mean"] > wanted["mean"]]
        assert row["rank"] == len(better) + 1
        margin = wanted["margin"]
        tied[name] = None if margin is None else int(margin >= 0)
        if margin is None or abs(margin) > UNCERTAIN:
            assert row["tied"] == tied[name], (name, margin)
        elif wanted["difference"] == 0:
            assert row["tied"] == 1
        tied[name] = row["tied"]
    best = leaderboard.best(engine, study)
    if not expected:
        assert best == []
        return
    leader = next(iter(expected.values()))["leader"]
    candidates = [name for name in tied if tied[name] == 1]
    pick = min(candidates, key=lambda name: expected[name]["order"])
    unknown = None in tied.values()
    assert best == [
        {
            "study": study, "depth": 2, "subsets": len(expected), "leader": leader,
            "leader_mean": expected[leader]["mean"], "tied": None if unknown else len(candidates),
            "pick": pick, "pick_mean": expected[pick]["mean"],
        }
    ]  # fmt: skip


@given(drawn=runs())
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_views_equal_the_reference_live_stored_and_out_of_date(
    engine: Engine, drawn: tuple[list[Run], int]
) -> None:
    everything, early = drawn
    study = begin(engine)
    record(engine, study, everything[:early])
    check(engine, study.name, everything[:early])
    standings.refresh(engine, study.id, 2)
    check(engine, study.name, everything[:early])
    record(engine, study, everything[early:])  # further seeds, and perhaps another leader
    check(engine, study.name, everything)
    standings.refresh(engine, study.id, 2)
    check(engine, study.name, everything)


def noisy(subset: str, seed: int, mean: float) -> Run:
    """A trial of two tasks with four queries each around `mean`."""
    rng = np.random.default_rng([seed, *map(ord, subset)])
    return scored(subset, seed, [list(rng.normal(mean, 0.1, 4)) for _ in range(2)])


def test_stored_variances_are_used_until_seeds_or_leader_change(engine: Engine) -> None:
    study = begin(engine, "s")
    drawn = [noisy("0_1", 0, 0.6), noisy("0_2", 0, 0.5), noisy("0_21", 0, 0.4)]
    record(engine, study, drawn)
    standings.refresh(engine, study.id, 2)
    spoil = "UPDATE search_standings SET variance = 4.0, difference_variance = 9.0"
    with engines.write(engine) as connection:
        connection.execute(text(spoil))
    rows = leaderboard.ranking(engine, "s")
    assert [(row["query_error"], row["difference_error"]) for row in rows] == [
        (2.0, 0.0), (2.0, 3.0), (2.0, 3.0),
    ]  # fmt: skip
    standings.refresh(engine, study.id, 2)  # nothing is out of date
    assert leaderboard.ranking(engine, "s") == rows
    seed = noisy("0_2", 1, 0.5)
    record(engine, study, [seed])
    fresh = {row["subset"]: row for row in leaderboard.ranking(engine, "s")}
    assert fresh["0_2"]["query_error"] < 1
    assert fresh["0_2"]["difference_error"] < 1
    assert (fresh["0_21"]["query_error"], fresh["0_21"]["difference_error"] > 3) == (2.0, True)
    leader = noisy("3_7", 0, 0.9)
    record(engine, study, [leader])
    standings.refresh(engine, study.id, 2)
    check(engine, "s", [*drawn, seed, leader])


def test_workers_that_finish_seeds_of_one_subset_at_once_leave_the_right_standings(
    engine: Engine, store_url: str
) -> None:
    study = begin(engine, "s")
    names = ["0_1", "0_2", "0_21"]
    drawn = [noisy(name, seed, 0.5) for seed in range(6) for name in names]
    start, broken = threading.Barrier(6), list[BaseException]()

    def work(number: int) -> None:
        own = setup.open_store(store_url)
        try:
            start.wait()
            for run in drawn[number::6] if number % 2 else drawn[number::6][::-1]:
                record(own, study, [run])
                standings.refresh(own, study.id, 2)
        except BaseException as failure:  # noqa: BLE001 - a thread would swallow it
            broken.append(failure)
        finally:
            own.dispose()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    kept = [read(engine, table) for table in ("search_standings", "search_depths")]
    with engines.write(engine) as connection:
        standings.rebuild(connection)
    assert [read(engine, table) for table in ("search_standings", "search_depths")] == kept
    rows = {row["subset"]: row for row in leaderboard.ranking(engine, "s")}
    assert {row["seeds"] for row in rows.values()} == {6}
    for name, wanted in reference(drawn).items():
        for part in ("mean", *PARTS):
            assert rows[name][part] == pytest.approx(wanted[part], rel=1e-6, abs=1e-9)


def read(engine: Engine, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    query = text(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 - constants
    with engines.read(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
