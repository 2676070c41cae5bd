"""The views of the store against a reference in plain Python."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from storage.database import write
from storage.leaderboard import best_per_depth, rank_by_task, rank_subsets
from storage.queue import Result, TaskResult
from storage.states import Origin
from storage.values.subset_key import Subset, format_subset, parse_subset
from tests.support.stores import begin, finish_trial, new_trial, query, queue_of

BOARD = "SELECT study, depth, rank, subset, mean, seeds, lowest, highest, origin FROM"
BUDGETS = dict.fromkeys((2, 3, 4), 99)
# eighths add up without rounding, so that equal means are equal whatever the order of a sum
SCORES = st.integers(0, 8).map(lambda number: number / 8)
SUBSETS: list[Subset] = [
    (0, 1),
    (0, 2),
    (0, 21),
    (0, 1, 2),
    (0, 1, 18),
    (1, 2, 3),
    (0, 1, 2, 18),
]

Place = tuple[str, int, Subset]
"""Study, depth and subset."""


@dataclass(frozen=True)
class Run:
    """One trial that is over, or given back when it has neither mean nor error."""

    study: str
    subset: Subset
    seed: int
    origin: Origin | str
    mean: float | None
    tasks: dict[str, float]
    failed: bool = False

    @property
    def place(self) -> Place:
        """Study, depth and subset."""
        return self.study, len(self.subset), self.subset


@st.composite
def runs(draw: st.DrawFn) -> list[Run]:
    """Draw trials of two studies: some complete, some failed, some given back, many ties."""
    places = st.tuples(st.sampled_from("ab"), st.sampled_from(SUBSETS), st.integers(0, 2))
    drawn = []
    for study, subset, seed in draw(st.lists(places, unique=True, max_size=14)):
        mean = draw(st.none() | SCORES)
        tasks = draw(st.dictionaries(st.sampled_from(["arg", "fever", "nq"]), SCORES, max_size=3))
        origin = draw(st.sampled_from([Origin.FIRST, "swap", Origin.MANUAL]))
        failed = draw(st.booleans())
        drawn.append(
            Run(study, subset, seed, origin, mean, tasks if mean is not None else {}, failed)
        )
    return drawn


def record(engine: Engine, drawn: Sequence[Run]) -> None:
    """Empty the store and fill it with `drawn`, the way workers do."""
    with write(engine) as connection:
        connection.execute(text("DELETE FROM search_studies"))
    for table in ("search_trials", "search_task_scores", "search_query_scores"):
        count = query(engine, f"SELECT count(*) FROM {table}")  # noqa: S608 - constants
        assert count == [(0,)]  # gone with their study

    queues = {
        name: queue_of(engine, begin(engine, BUDGETS, name), "w")
        for name in {run.study for run in drawn}
    }

    for run in drawn:
        queue = queues[run.study]
        held = queue.claim(new_trial(run.subset, run.seed, run.origin))
        if run.mean is not None:
            tasks = {name: TaskResult(score) for name, score in run.tasks.items()}
            assert queue.finish(held, Result(run.mean, tasks))
        elif run.failed:
            assert queue.finish(held, Result(None, error="broke"))
        else:
            queue.give_back(held)


# the reference


def by_place(drawn: Sequence[Run]) -> dict[Place, list[Run]]:
    """Return the trials of each subset that has a score."""
    groups: dict[Place, list[Run]] = defaultdict(list)
    for run in drawn:
        groups[run.place].append(run)
    return {
        place: group
        for place, group in groups.items()
        if any(run.mean is not None for run in group)
    }


def expected_board(drawn: Sequence[Run]) -> set[tuple[object, ...]]:
    """Return the rows that the view `leaderboard` must hold."""
    groups = by_place(drawn)
    scores = {
        place: [run.mean for run in group if run.mean is not None]
        for place, group in groups.items()
    }
    means = {place: sum(found) / len(found) for place, found in scores.items()}

    board: set[tuple[object, ...]] = set()
    for place, group in groups.items():
        study, depth, subset = place
        found, mean = scores[place], means[place]
        better = [
            other for other, value in means.items() if other[:2] == (study, depth) and value > mean
        ]
        numbers = (mean, len(found), min(found), max(found))
        origin = next(run.origin for run in group if run.mean is not None)
        board.add((study, depth, len(better) + 1, format_subset(subset), *numbers, origin))
    return board


def expected_tasks(drawn: Sequence[Run]) -> set[tuple[object, ...]]:
    """Return the rows that the view `leaderboard_by_task` must hold."""
    ranks = {row[:2] + row[3:4]: row[2] for row in expected_board(drawn)}
    board: set[tuple[object, ...]] = set()
    for (study, depth, subset), group in by_place(drawn).items():
        rank = ranks[study, depth, format_subset(subset)]
        for task in {task for run in group for task in run.tasks}:
            found = [run.tasks[task] for run in group if task in run.tasks]
            score = sum(found) / len(found)
            board.add((study, depth, rank, format_subset(subset), task, score, len(found)))
    return board


@pytest.mark.slow
@given(drawn=runs())
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(
    drawn=[  # two leaders, so the next is third; a failed seed is no score
        Run("a", (0, 1), 0, "swap", 0.5, {"nq": 0.5}),
        Run("a", (0, 2), 0, Origin.FIRST, 0.25, {"nq": 0.25}),
        Run("a", (0, 2), 1, Origin.MANUAL, 0.75, {"nq": 0.75}),
        Run("a", (0, 2), 2, "swap", None, {}, failed=True),
        Run("a", (0, 21), 0, "swap", 0.125, {}),
        Run("a", (0, 1, 2), 0, "swap", 0.0, {"nq": 0.0}),
        Run("b", (0, 1), 0, "swap", None, {}, failed=True),
    ]
)
def test_views_equal_the_reference(engine: Engine, drawn: list[Run]) -> None:
    record(engine, drawn)
    board = query(engine, f"{BOARD} leaderboard")
    assert len(board) == len(set(board))
    assert set(board) == expected_board(drawn)

    tasks = query(
        engine, "SELECT study, depth, rank, subset, task, score, seeds FROM leaderboard_by_task"
    )
    assert len(tasks) == len(set(tasks))
    assert set(tasks) == expected_tasks(drawn)


# examples


def test_example_ranks_ties_as_one_expects(engine: Engine) -> None:
    means = {1: 0.5, 2: 0.5, 3: 0.25, 4: 0.75, 5: 0.125}
    record(engine, [Run("a", (0, layer), 0, "swap", mean, {}) for layer, mean in means.items()])
    rows = query(engine, "SELECT rank, subset FROM leaderboard ORDER BY rank, subset")
    assert rows == [(1, "0_4"), (2, "0_1"), (2, "0_2"), (4, "0_3"), (5, "0_5")]


def test_time_is_the_mean_of_the_complete_trials(engine: Engine) -> None:
    study = begin(engine, BUDGETS, "a")
    for seed, seconds in enumerate((1.0, 2.0, None)):
        given = {} if seconds is None else {"train": seconds}
        mean = None if seconds is None else 0.5
        result = Result(mean, seconds=given, error=None if mean else "broke")
        finish_trial(engine, study, new_trial((0, 1), seed), result)

    rows = query(engine, "SELECT train_seconds, seeds FROM leaderboard")
    assert rows == [(1.5, 2)]
    last = query(engine, "SELECT max(finished_at) FROM search_trials WHERE state = 'complete'")
    assert query(engine, "SELECT finished_at FROM leaderboard") == last


def test_readers_filter_and_sort_the_views(engine: Engine) -> None:
    drawn = [
        Run(study, subset, 0, "swap", mean, {"nq": mean})
        for study in "ba"
        for subset, mean in (((0, 2), 0.5), ((0, 1), 0.75), ((0, 1, 2), 0.25))
    ]
    record(engine, drawn)

    everything = rank_subsets(engine)
    keys = [(row["study"], row["depth"], row["rank"], row["subset"]) for row in everything]
    assert keys == sorted(keys)
    assert len(keys) == 6

    mine = rank_subsets(engine, "b", 2)
    assert [(row["study"], row["subset"]) for row in mine] == [("b", "0_1"), ("b", "0_2")]
    assert rank_subsets(engine, "c") == []
    assert rank_subsets(engine, top=1) == [row for row in everything if row["rank"] == 1]
    assert rank_subsets(engine, "b", 2, top=2) == mine

    assert rank_by_task(engine, "a", 3) == [
        {
            "study": "a",
            "depth": 3,
            "rank": 1,
            "subset": "0_1_2",
            "task": "nq",
            "score": 0.25,
            "seeds": 1,
        }
    ]
    first = [row["subset"] for row in rank_by_task(engine, "b", top=1)]
    assert first == ["0_1", "0_1_2"]

    best = [(row["study"], row["depth"], row["leader"]) for row in best_per_depth(engine)]
    assert best == [("a", 2, "0_1"), ("a", 3, "0_1_2"), ("b", 2, "0_1"), ("b", 3, "0_1_2")]
    assert [row["study"] for row in best_per_depth(engine, "b")] == ["b", "b"]


def test_query_scores_are_one_row_each(engine: Engine) -> None:
    study = begin(engine, BUDGETS, "a")
    for seed, score in ((0, 0.25), (1, 0.5)):
        tasks = {
            "nq": TaskResult(score, {"q1": score, "q2": 0.0}),
            "arg": TaskResult(1.0, {"q1": 1.0}),  # the same id in another task is another query
        }
        finish_trial(engine, study, new_trial((0, 1), seed), Result(0.5, tasks))

    rows = query(engine, "SELECT study, depth, subset, seed, task, query, score FROM query_scores")
    assert sorted(rows) == [
        ("a", 2, "0_1", 0, "arg", "q1", 1.0),
        ("a", 2, "0_1", 0, "nq", "q1", 0.25),
        ("a", 2, "0_1", 0, "nq", "q2", 0.0),
        ("a", 2, "0_1", 1, "arg", "q1", 1.0),
        ("a", 2, "0_1", 1, "nq", "q1", 0.5),
        ("a", 2, "0_1", 1, "nq", "q2", 0.0),
    ]
    assert query(engine, "SELECT count(*) FROM search_queries") == [(3,)]


# the pick

PICKED: dict[Subset, float] = {
    (0, 1, 10, 11): 0.7535,  # the leader: one break
    (0, 1, 9, 10): 0.7162,  # as simple, and lower
    (0, 9, 10, 11): 0.7495,  # as simple, higher
    (0, 2, 10, 11): 0.7530,  # two breaks
    (0, 1, 2, 3): 0.7484,  # none
}


def pick(engine: Engine, margin: float | None = None, *, of: float = 0.005) -> tuple[str, float]:
    """Return the pick among `PICKED`, all tied by a wide error, and its margin.

    Args:
        engine: the store.
        margin: the margin asked for.
        of: the study's own.
    """
    record(engine, [])
    study = begin(engine, BUDGETS, "a", margin=of)
    for number, (subset, mean) in enumerate(PICKED.items()):
        scores = {"q1": mean - number / 10, "q2": mean + number / 10}
        finish_trial(
            engine, study, new_trial(subset), Result(mean, {"t": TaskResult(mean, scores)})
        )

    rows = rank_subsets(engine, "a")
    assert all(row["tied"] for row in rows)
    (best,) = best_per_depth(engine, "a", margin=margin)
    assert best["leader"] == "0_1_10_11"
    assert best["pick_mean"] == PICKED[parse_subset(best["pick"])]
    return best["pick"], best["margin"]


@pytest.mark.parametrize(
    ("margin", "picked"),
    [
        (None, "0_1_10_11"),  # 0.005: what is simpler costs more, what is as simple is higher
        (0.0, "0_1_10_11"),
        (0.0051, "0_1_2_3"),  # 0.0051 below, but for rounding
        (0.00509, "0_1_10_11"),
        (1.0, "0_1_2_3"),
    ],
)
def test_pick_is_within_the_margin(engine: Engine, margin: float | None, picked: str) -> None:
    assert pick(engine, margin) == (picked, 0.005 if margin is None else margin)


def test_margin_is_the_studys_own(engine: Engine) -> None:
    assert pick(engine, of=0.01) == ("0_1_2_3", 0.01)
    assert query(engine, "SELECT pick, margin FROM best_per_depth") == [("0_1_2_3", 0.01)]
    assert pick(engine, 0.001, of=0.01) == ("0_1_10_11", 0.001)


def test_nothing_is_given_away_among_equally_simple_subsets(engine: Engine) -> None:
    """Subsets of one break, all tied: lower layers cost 0.037."""
    study = begin(engine, BUDGETS, "a")
    for subset in [(0, 1, 10, 11), (0, 1, 9, 10)]:
        mean = PICKED[subset]
        scores = {"q1": mean - 0.2 * (subset[2] - 9), "q2": mean + 0.2 * (subset[2] - 9)}
        finish_trial(
            engine, study, new_trial(subset), Result(mean, {"t": TaskResult(mean, scores)})
        )
    (best,) = best_per_depth(engine, "a")
    assert (best["tied"], best["pick"]) == (2, "0_1_10_11")
