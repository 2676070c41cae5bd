"""The views of the store against a reference in plain Python, and as SQL clients see them."""

import csv
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from search import job as jobs
from search import studyfile, worker
from storage import claims, leaderboard, release, results, studies
from storage import engine as engines
from storage.results import Result, TaskResult

BOARD = "SELECT study, depth, rank, subset, mean, seeds, lowest, highest, origin FROM"
# eighths add up without rounding, so that equal means are equal whatever the order of a sum
SCORES = st.integers(0, 8).map(lambda number: number / 8)
SUBSETS = ["0_1", "0_2", "0_21", "0_1_2", "0_1_18", "1_2_3", "0_1_2_18"]


@dataclass(frozen=True)
class Run:
    """One trial that is over, or given back when it has neither mean nor error."""

    study: str
    subset: str
    seed: int
    origin: str
    mean: float | None
    tasks: dict[str, float]
    failed: bool = False

    @property
    def depth(self) -> int:
        """Number of layers kept."""
        return self.subset.count("_") + 1


@st.composite
def runs(draw: st.DrawFn) -> list[Run]:
    """Trials of two studies: some complete, some failed, some given back, many ties."""
    keys = st.tuples(st.sampled_from("ab"), st.sampled_from(SUBSETS), st.integers(0, 2))
    drawn = []
    for study, subset, seed in draw(st.lists(keys, unique=True, max_size=14)):
        mean = draw(st.none() | SCORES)
        tasks = draw(st.dictionaries(st.sampled_from(["arg", "fever", "nq"]), SCORES, max_size=3))
        origin = draw(st.sampled_from(["first", "swap", "manual"]))
        failed = draw(st.booleans())
        drawn.append(
            Run(study, subset, seed, origin, mean, tasks if mean is not None else {}, failed)
        )
    return drawn


def record(engine: Engine, drawn: Sequence[Run]) -> None:
    """Empty the store and fill it with `drawn`, the way workers do."""
    with engines.write(engine) as connection:
        connection.execute(text("DELETE FROM search_studies"))
        for table in ("search_trials", "search_task_scores", "search_query_scores"):
            count = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - constants
            assert connection.execute(count).scalar() == 0  # gone with their study
    begun = {name: begin(engine, name) for name in {run.study for run in drawn}}
    for run in drawn:
        held = claims.claim(
            engine,
            begun[run.study].id,
            run.depth,
            subset=run.subset,
            seed=run.seed,
            origin=run.origin,
            owner="w",
        )
        if run.mean is not None:
            tasks = {name: TaskResult(score) for name, score in run.tasks.items()}
            assert results.finish(engine, held, Result(run.mean, tasks))
        elif run.failed:
            assert results.finish(engine, held, Result(None, error="broke"))
        else:
            release.give_back(engine, held)


def begin(engine: Engine, name: str) -> studies.StudyRecord:
    """An empty study of any depth used here."""
    return studies.begin(
        engine,
        name=name,
        file={"study": {"name": name}},
        folder="/",
        recipe_hash="hash",
        base="toy",
        layers=22,
        period=3,
        fingerprints={},
        versions={},
        budgets=dict.fromkeys((2, 3, 4), 99),
    )


def by_subset(drawn: Sequence[Run]) -> dict[tuple[str, int, str], list[Run]]:
    """The trials of each subset that has a score."""
    groups: dict[tuple[str, int, str], list[Run]] = defaultdict(list)
    for run in drawn:
        groups[run.study, run.depth, run.subset].append(run)
    return {
        key: group for key, group in groups.items() if any(run.mean is not None for run in group)
    }


def expected_board(drawn: Sequence[Run]) -> set[tuple[Any, ...]]:
    """What the view `leaderboard` must hold."""
    groups = by_subset(drawn)
    scores = {
        key: [run.mean for run in group if run.mean is not None] for key, group in groups.items()
    }
    means = {key: sum(found) / len(found) for key, found in scores.items()}
    board = set()
    for (study, depth, subset), group in groups.items():
        found, mean = scores[study, depth, subset], means[study, depth, subset]
        better = [
            other for other, value in means.items() if other[:2] == (study, depth) and value > mean
        ]
        numbers = (mean, len(found), min(found), max(found))
        origin = next(run.origin for run in group if run.mean is not None)
        board.add((study, depth, len(better) + 1, subset, *numbers, origin))
    return board


def expected_tasks(drawn: Sequence[Run]) -> set[tuple[Any, ...]]:
    """What the view `leaderboard_by_task` must hold."""
    ranks = {row[:2] + row[3:4]: row[2] for row in expected_board(drawn)}
    board = set()
    for key, group in by_subset(drawn).items():
        for task in {task for run in group for task in run.tasks}:
            found = [run.tasks[task] for run in group if task in run.tasks]
            study, depth, subset = key
            score = sum(found) / len(found)
            board.add((study, depth, ranks[key], subset, task, score, len(found)))
    return board


def ask(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a piece of SQL returns."""
    with engines.read(engine) as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


@given(drawn=runs())
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(
    drawn=[  # two leaders, so the next is third; a failed seed is no score
        Run("a", "0_1", 0, "swap", 0.5, {"nq": 0.5}),
        Run("a", "0_2", 0, "first", 0.25, {"nq": 0.25}),
        Run("a", "0_2", 1, "manual", 0.75, {"nq": 0.75}),
        Run("a", "0_2", 2, "swap", None, {}, failed=True),
        Run("a", "0_21", 0, "swap", 0.125, {}),
        Run("a", "0_1_2", 0, "swap", 0.0, {"nq": 0.0}),
        Run("b", "0_1", 0, "swap", None, {}, failed=True),
    ]
)
def test_views_equal_the_reference(engine: Engine, drawn: list[Run]) -> None:
    record(engine, drawn)
    board = ask(engine, f"{BOARD} leaderboard")
    assert len(board) == len(set(board))
    assert set(board) == expected_board(drawn)
    tasks = ask(
        engine, "SELECT study, depth, rank, subset, task, score, seeds FROM leaderboard_by_task"
    )
    assert len(tasks) == len(set(tasks))
    assert set(tasks) == expected_tasks(drawn)


def test_example_ranks_ties_as_one_expects(engine: Engine) -> None:
    means = {"0_1": 0.5, "0_2": 0.5, "0_3": 0.25, "0_4": 0.75, "0_5": 0.125}
    record(engine, [Run("a", subset, 0, "swap", mean, {}) for subset, mean in means.items()])
    rows = ask(engine, "SELECT rank, subset FROM leaderboard ORDER BY rank, subset")
    assert rows == [(1, "0_4"), (2, "0_1"), (2, "0_2"), (4, "0_3"), (5, "0_5")]


def test_time_is_the_mean_of_the_complete_trials(engine: Engine) -> None:
    study = begin(engine, "a")
    for seed, seconds in enumerate((1.0, 2.0, None)):
        held = claims.claim(engine, study.id, 2, subset="0_1", seed=seed, origin="swap", owner="w")
        given = {} if seconds is None else {"train": seconds}
        mean = None if seconds is None else 0.5
        results.finish(engine, held, Result(mean, seconds=given, error=None if mean else "broke"))
    rows = ask(engine, "SELECT train_seconds, seeds FROM leaderboard")
    assert rows == [(1.5, 2)]
    done = "WHERE state = 'complete'"
    last = ask(engine, f"SELECT max(finished_at) FROM search_trials {done}")  # noqa: S608
    assert ask(engine, "SELECT finished_at FROM leaderboard") == last


def test_readers_filter_and_sort_the_views(engine: Engine) -> None:
    drawn = [
        Run(study, subset, 0, "swap", mean, {"nq": mean})
        for study in "ba"
        for subset, mean in (("0_2", 0.5), ("0_1", 0.75), ("0_1_2", 0.25))
    ]
    record(engine, drawn)
    everything = leaderboard.ranking(engine)
    keys = [(row["study"], row["depth"], row["rank"], row["subset"]) for row in everything]
    assert keys == sorted(keys)
    assert len(keys) == 6
    mine = leaderboard.ranking(engine, "b", 2)
    assert [(row["study"], row["subset"]) for row in mine] == [("b", "0_1"), ("b", "0_2")]
    assert leaderboard.ranking(engine, "c") == []
    assert leaderboard.ranking(engine, top=1) == [row for row in everything if row["rank"] == 1]
    assert leaderboard.ranking(engine, "b", 2, top=2) == mine
    tasks = leaderboard.by_task(engine, "a", 3)
    assert [dict(row) for row in tasks] == [
        {
            "study": "a", "depth": 3, "rank": 1, "subset": "0_1_2",
            "task": "nq", "score": 0.25, "seeds": 1,
        }
    ]  # fmt: skip


def test_query_scores_are_one_row_each(engine: Engine) -> None:
    study = begin(engine, "a")
    for seed, score in ((0, 0.25), (1, 0.5)):
        held = claims.claim(engine, study.id, 2, subset="0_1", seed=seed, origin="swap", owner="w")
        tasks = {
            "nq": TaskResult(score, {"q1": score, "q2": 0.0}),
            "arg": TaskResult(1.0, {"q1": 1.0}),  # the same id in another task is another query
        }
        results.finish(engine, held, Result(0.5, tasks))
    rows = ask(engine, "SELECT study, depth, subset, seed, task, query, score FROM query_scores")
    assert sorted(rows) == [
        ("a", 2, "0_1", 0, "arg", "q1", 1.0),
        ("a", 2, "0_1", 0, "nq", "q1", 0.25),
        ("a", 2, "0_1", 0, "nq", "q2", 0.0),
        ("a", 2, "0_1", 1, "arg", "q1", 1.0),
        ("a", 2, "0_1", 1, "nq", "q1", 0.5),
        ("a", 2, "0_1", 1, "nq", "q2", 0.0),
    ]
    assert ask(engine, "SELECT count(*) FROM search_queries") == [(3,)]


class Quiet:
    """Nobody watches."""

    def started(self, held: claims.Claim) -> None:
        """Nothing."""

    def stage(self, name: str, done: int, total: int) -> None:
        """Nothing."""

    def finished(self, held: claims.Claim, result: Result) -> None:
        """Nothing."""

    def waiting(self, running: int) -> None:
        """Nothing."""


@pytest.fixture
def replayed(engine: Engine, card_study: Path) -> Engine:
    """A store in which a worker has replayed every row of the model card."""
    file = studyfile.read(card_study)
    job = jobs.begin(engine, file, card_study.parent, file.evaluator_for(card_study.parent))
    worker.work(job, Quiet())
    job.mirror.close()
    return engine


def card_board(
    card_rows: Sequence[dict[str, str]], column: str
) -> dict[int, list[tuple[Any, ...]]]:
    """The card's own table of one column, best first, by depth."""
    board: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in sorted(card_rows, key=lambda row: -float(row[column])):
        board[int(row["depth"])].append((row["subset"], float(row[column])))
    return board


@contextmanager
def plain(engine: Engine) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Asks through the database's own driver, without anything of this project."""
    connection: Any
    if engine.dialect.name == "sqlite":
        connection = sqlite3.connect(f"file:{engine.url.database}?mode=ro", uri=True)
    else:
        import psycopg

        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(url)
    with closing(connection):
        yield lambda sql: connection.execute(sql).fetchall()


def test_card_is_reproduced_rank_by_rank_and_task_by_task(
    replayed: Engine, card_rows: list[dict[str, str]]
) -> None:
    board = card_board(card_rows, "mean")
    assert {depth: len(rows) for depth, rows in board.items()} == {22: 1, 13: 10, 7: 11, 4: 5}
    tasks = [name for name in card_rows[0] if name.startswith("Nano")]
    assert len(tasks) == 13
    ranks = {subset: rank for rows in board.values() for rank, (subset, _) in enumerate(rows, 1)}
    by_task = {
        (int(row["depth"]), ranks[row["subset"]], row["subset"], task, float(row[task]), 1)
        for row in card_rows
        for task in tasks
    }
    with plain(replayed) as query:
        for depth, rows in board.items():
            found = query(
                "SELECT rank, subset, mean FROM leaderboard "  # noqa: S608 - a number of ours
                f"WHERE study = 'card' AND depth = {depth} ORDER BY rank"
            )
            assert found == [(rank, *row) for rank, row in enumerate(rows, 1)]
        once = [("first", 1)]
        assert query("SELECT DISTINCT origin, seeds FROM leaderboard") == once
        found = query("SELECT depth, rank, subset, task, score, seeds FROM leaderboard_by_task")
    assert len(found) == 27 * 13
    assert set(found) == by_task


def client_rows(engine: Engine, sql: str) -> list[list[str]]:
    """The rows of `sql` as a client on the command line prints them."""
    if engine.dialect.name == "sqlite":
        program, arguments = "sqlite3", ["-readonly", "-csv", str(engine.url.database)]
    else:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        program, arguments = "psql", ["--no-psqlrc", "--csv", "--tuples-only", url, "--command"]
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs the client {program}")
    run = subprocess.run([path, *arguments, sql], capture_output=True, text=True, check=True)
    return list(csv.reader(run.stdout.splitlines()))


def test_clients_on_the_command_line_read_the_views(
    replayed: Engine, card_rows: list[dict[str, str]]
) -> None:
    board = client_rows(
        replayed, "SELECT rank, subset, mean FROM leaderboard WHERE depth = 7 ORDER BY rank"
    )
    expected = card_board(card_rows, "mean")[7]
    assert [(int(rank), subset, float(mean)) for rank, subset, mean in board] == [
        (rank, *row) for rank, row in enumerate(expected, 1)
    ]
    tasks = client_rows(
        replayed,
        "SELECT subset, score FROM leaderboard_by_task "
        "WHERE depth = 4 AND task = 'NanoNQ' ORDER BY score DESC",
    )
    assert [(subset, float(score)) for subset, score in tasks] == card_board(card_rows, "NanoNQ")[4]
    assert client_rows(replayed, "SELECT count(*) FROM query_scores") == [["0"]]
