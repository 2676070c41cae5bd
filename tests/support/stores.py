"""Builders of studies, workers and finished trials in a store."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, text

from storage.database import read
from storage.leaderboard import list_attempts
from storage.queue import LEASE_SECONDS, NewTrial, Result, TrialQueue, WorkerId
from storage.states import Origin
from storage.studies import StudyDefinition, StudyRecord, begin_study
from storage.trials import list_trials
from storage.values.subset_key import Subset

Row = dict[str, Any]
"""One row of a table or a view, by column."""
Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]
"""Type of the fixture `dump`: returns every row of every table of a store."""
Workers = Callable[..., TrialQueue]
"""Type of the fixture `worker`: `worker("b", lease=30)` returns the queue as worker b sees it."""


# studies


def define(name: str = "s", **changed: object) -> StudyDefinition:
    """Return the definition of a study of a base with 22 layers.

    Args:
        name: its name.
        **changed: fields that differ from the defaults.
    """
    fields: dict[str, Any] = {
        "name": name,
        "file": {"study": {"name": name}},
        "folder": "/",
        "recipe_hash": "hash",
        "base": "toy",
        "layers": 22,
        "period": 3,
        "fingerprints": {},
        "versions": {},
    }
    fields.update(changed)
    return StudyDefinition(**fields)


def begin(
    engine: Engine, budgets: Mapping[int, int], name: str = "s", **changed: object
) -> StudyRecord:
    """Begin a study.

    Args:
        engine: the store.
        budgets: trials by depth.
        name: its name.
        **changed: fields of its definition that differ from the defaults.
    """
    return begin_study(engine, define(name, **changed), budgets)


# workers and trials


def worker_id(name: str) -> WorkerId:
    """Return the worker `name`, which runs on a host of the same name and never ends."""
    return WorkerId(name, "1", "2", "boot:namespace")


def queue_of(
    engine: Engine, study: StudyRecord, name: str = "a", lease: float = LEASE_SECONDS
) -> TrialQueue:
    """Return the queue of `study` as the worker `name` sees it.

    Args:
        engine: the store.
        study: the study.
        name: the worker.
        lease: seconds that its claims last; they have run out at once when negative.
    """
    return TrialQueue(engine, study, worker_id(name), lease)


def new_trial(subset: Subset, seed: int = 0, origin: Origin | str = "swap") -> NewTrial:
    """Return a trial to begin.

    Args:
        subset: the kept layers.
        seed: its seed.
        origin: the reason for it, or the name of the sampler that proposed it.
    """
    if isinstance(origin, Origin):
        return NewTrial(subset, seed, origin)
    return NewTrial(subset, seed, Origin.SAMPLER, origin)


def finish_trial(engine: Engine, study: StudyRecord, trial: NewTrial, result: Result) -> None:
    """Run `trial` as a worker does, with `result` as its end."""
    queue = queue_of(engine, study, "w")
    assert queue.finish(queue.claim(trial), result)


# rows


def trial_rows(engine: Engine, study: str = "s") -> list[Row]:
    """Return all trials of `study` in the order they were begun."""
    return [dict(row) for row in list_trials(engine, study)]


def only_trial(engine: Engine) -> Row:
    """Return the one trial of the study `s`."""
    (row,) = trial_rows(engine)
    return row


def attempts(engine: Engine, study: str = "s") -> list[tuple[Any, ...]]:
    """Return every attempt at a trial of `study`: number, worker, outcome, reason.

    An attempt must have an end exactly if it has an outcome, and end after it began.
    """
    rows = list_attempts(engine, study)
    for row in rows:
        assert (row["ended_at"] is None) == (row["outcome"] == "running")
        assert row["ended_at"] is None or row["ended_at"] >= row["started_at"]

    # workers by name, the others by their whole text
    names = {str(worker_id(host)): host for host in (row["worker"].split(":")[0] for row in rows)}
    return [
        (row["attempt"], names.get(row["worker"], row["worker"]), row["outcome"], row["reason"])
        for row in rows
    ]


def query(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a piece of SQL."""
    with read(engine) as connection:
        return [tuple(row) for row in connection.execute(text(sql))]
