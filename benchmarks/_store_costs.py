"""The costs of a store: throughput, overhead of a trial, growth, and the start of a worker."""

import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _filled import (
    DEPTH,
    QUERIES,
    SAMPLER,
    TASKS,
    begin_generated_study,
    fill_study,
    numbered_subset,
)
from sqlalchemy import Engine, insert, select

from search.space import Subset, format_subset
from search.study.history import History
from storage.database import write
from storage.leaderboard import best_per_depth, rank_subsets
from storage.queue import NewTrial, Result, TaskResult, TrialQueue
from storage.queue.results import write_result
from storage.schema import Attempt, Trial
from storage.setup import open_store
from storage.states import Origin, TrialState
from storage.studies import StudyRecord, find_study

COMMAND = Path(sys.executable).with_name("layer-search")

_SECONDS = 1.0  # of an evaluation, long enough that workers do not wait for each other
_TRIALS = 160  # of the study that the overhead is measured on
_NAME = "overhead"
_KEPT, _LAYERS = 4, 14
_STUDY = f"""
[study]
name = "{_NAME}"
depths = [{_KEPT}]
trials = {_TRIALS}
[space]
cadence = "free"
[sampler]
name = "uniform"
[evaluator]
name = "table"
path = "table.csv"
layers = {_LAYERS}
seconds = {_SECONDS}
queries = {QUERIES}
"""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Trials that several processes finished as fast as they could.

    Attributes:
        per_second: trials a second.
        lost: trials that were finished and are not in the store.
        doubled: trials that are there twice.
    """

    per_second: float
    lost: int
    doubled: int


def measure_throughput(engine: Engine, url: str, workers: int, trials: int) -> Throughput:
    """Let `workers` processes finish `trials` trials of a new study, as fast as they can."""
    name, each = f"rate-{workers}", trials // workers
    study = begin_generated_study(engine, name, each * workers)

    spawn = multiprocessing.get_context("spawn")
    group = [
        spawn.Process(target=finish_many, args=(url, name, number * each, each))
        for number in range(workers)
    ]
    for process in group:
        process.start()
    for process in group:
        process.join()

    columns = select(Trial.subset, Trial.started_at, Trial.finished_at, Trial.mean)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(Trial.study_id == study.id)).all()
    done = [row for row in rows if row.mean == make_result().mean]
    seconds = max(row.finished_at for row in done) - min(row.started_at for row in done)
    distinct = len({row.subset for row in done})
    return Throughput(
        per_second=len(done) / seconds.total_seconds(),
        lost=each * workers - distinct,
        doubled=len(done) - distinct,
    )


def finish_many(url: str, name: str, first: int, count: int) -> None:
    """Claim and finish `count` trials of the study `name`, in a process of its own."""
    engine = open_store(url)
    queue = TrialQueue(engine, find_study(engine, name))
    for number in range(first, first + count):
        claim = queue.claim(make_trial(number))
        queue.finish(claim, make_result())
        queue.refresh_standings(DEPTH)
    engine.dispose()


def make_trial(number: int) -> NewTrial:
    """Return a trial by its number."""
    return NewTrial(numbered_subset(number), 0, Origin.SAMPLER, "uniform")


def make_result(mean: float = 0.4) -> Result:
    """Return a result with as many scores as NanoBEIR gives."""
    queries = {f"q{number:02d}": mean for number in range(QUERIES)}
    return Result(mean, {f"t{number:02d}": TaskResult(mean, queries) for number in range(TASKS)})


def measure_overhead(engine: Engine, url: str, folder: Path, workers: int) -> list[float]:
    """Return the seconds of each trial of a real study beyond its evaluation.

    They lie between the starts of two trials of one worker, less the time of the evaluation.

    Args:
        engine: the store.
        url: its URL.
        folder: takes the study.
        workers: number of workers.
    """
    _write_study(folder)
    _run(url, "launch", folder / "study.toml", f"--workers={workers}")

    study = find_study(engine, _NAME)
    begun: dict[str, list[float]] = defaultdict(list)
    columns = select(Attempt.owner, Attempt.started_at).join(Trial, Trial.id == Attempt.trial_id)
    query = columns.where(Trial.study_id == study.id).order_by(Attempt.started_at)
    with engine.connect() as connection:
        for owner, started in connection.execute(query):
            begun[owner].append(started.timestamp())

    return [
        after - before - _SECONDS
        for starts in begun.values()
        for before, after in itertools.pairwise(
            starts[1:]
        )  # the first also waits for other workers
    ]


def _write_study(folder: Path) -> None:
    """Write the study, and the table of its scores."""
    tasks = [f"t{number:02d}" for number in range(TASKS)]
    lines = [",".join(["subset", "mean", *tasks])]
    kept = itertools.combinations(range(1, _LAYERS), _KEPT - 1)
    for number, rest in enumerate(kept):
        score = str(0.4 + number / 10_000)
        lines.append(",".join([format_subset((0, *rest)), score, *[score] * TASKS]))

    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")


def _run(url: str, *words: str | Path) -> None:
    """Run a command of the project on the store at `url`."""
    environment = {**os.environ, "LAYER_SEARCH_STORE": url}
    subprocess.run([COMMAND, *words], env=environment, capture_output=True, check=True)


def measure_growth(engine: Engine, trials: int, scored: int) -> dict[str, float]:
    """Return the seconds (and MB) of users' and workers' actions in a store of so many trials.

    Args:
        engine: the store.
        trials: number of trials of the study.
        scored: number of these trials that have scores by query.
    """
    study = fill_study(engine, f"filled-{trials}", trials, scored)
    name = study.name
    act = _WorkerActions(engine, study, trials)

    found = {
        "leaderboard, best 20 s": median_seconds(lambda: rank_subsets(engine, name, DEPTH, top=20)),
        "leaderboard, all s": median_seconds(lambda: rank_subsets(engine, name, DEPTH)),
        "best s": median_seconds(lambda: best_per_depth(engine, name)),
        "claim s": median_seconds(act.claim),
        "result s": median_seconds(lambda: act.finish(0.1)),
        "history s": median_seconds(lambda: History(engine, study.id, DEPTH).read(), 3),
        "history MB": _history_megabytes(engine, study),
    }
    if trials <= scored:  # trials without scores by query have nothing to compare
        found["new leader s"] = median_seconds(lambda: act.finish(0.9), 1)
        found["leaderboard, all, after s"] = median_seconds(
            lambda: rank_subsets(engine, name, DEPTH)
        )
    return found


def median_seconds(function: Callable[[], object], repeat: int = 5) -> float:
    """Return the median seconds of a call."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


class _WorkerActions:
    """The actions of a worker on the store, each on a new trial.

    Args:
        engine: the store.
        study: the study.
        first: number of the first new trial.
    """

    def __init__(self, engine: Engine, study: StudyRecord, first: int) -> None:
        self._engine = engine
        self._queue = TrialQueue(engine, study)
        self._numbers = itertools.count(first)

    def claim(self) -> None:
        """Claim a trial and give it back."""
        self._queue.give_back(self._queue.claim(make_trial(next(self._numbers))))

    def finish(self, mean: float) -> None:
        """Claim a trial and write its result, without the copy that a worker keeps of it."""
        claim = self._queue.claim(make_trial(next(self._numbers)))
        with write(self._engine) as connection:
            write_result(connection, claim, make_result(mean))
        self._queue.refresh_standings(DEPTH)


def _history_megabytes(engine: Engine, study: StudyRecord) -> float:
    """Return the memory that reading a history takes."""
    tracemalloc.start()
    history = History(engine, study.id, DEPTH)
    history.read()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def measure_start(engine: Engine, url: str, trials: int) -> float:
    """Return the seconds of a whole `layer-search work` that finds its budget used up.

    Args:
        engine: the store, in which the overhead was measured.
        url: its URL.
        trials: number of trials that are added to the study first.
    """
    study = find_study(engine, _NAME)
    with engine.begin() as connection:
        rows = [_finished_trial(study.id, numbered_subset(number)) for number in range(trials)]
        connection.execute(insert(Trial), rows)

    # the budget of the study is used up: the worker reads all trials, and ends
    return median_seconds(lambda: _run(url, "work", _NAME), 3)


def _finished_trial(study_id: int, subset: Subset) -> dict[str, object]:
    """Return the columns of a trial that costs a reader time, and is not on the leaderboard."""
    return {
        "study_id": study_id,
        "depth": _KEPT,
        "subset": subset,
        "seed": 0,
        "state": TrialState.COMPLETE,
        "token": 1,
        "crashes": 0,
        "mirrored": True,
        "mean": 0.1,
        **SAMPLER,
    }
