"""Checks of a store after a study: they hold however its workers and its database were treated.

The store is read by plain SQL, so that the checks do not rest on the code that they check.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, text

from storage.database import read
from storage.database.optuna_storage import open_optuna

Rows = list[dict[str, Any]]

TableScores = Mapping[str, Mapping[str, float]]
"""By subset key, the score of each task, and their mean under `mean`."""

_PRECISION = 1e-12  # of a mean over the seeds of one subset, which is computed again


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a store that holds one study.

    Attributes:
        depths: rows of `search_depths`, by depth.
        trials: rows of `search_trials`, in the order they were begun.
        attempts: rows of `search_attempts`, by trial and token.
        tasks: rows of `search_task_scores`, by trial and task.
        queries: for each trial, `trial_id` and `n`, its number of scores by query.
        standings: rows of `search_standings`, by subset.
        optuna: Optuna's trials by depth.
    """

    depths: Rows
    trials: Rows
    attempts: Rows
    tasks: Rows
    queries: Rows
    standings: Rows
    optuna: Mapping[int, list[FrozenTrial]]


def read_contents(engine: Engine) -> Contents:
    """Return everything that the checks look at."""
    with read(engine) as connection:

        def rows(query: str) -> Rows:
            """Return the rows of a query."""
            return [dict(row) for row in connection.execute(text(query)).mappings()]

        depths = rows("SELECT * FROM search_depths ORDER BY depth")
        trials = rows("SELECT * FROM search_trials ORDER BY id")
        attempts = rows("SELECT * FROM search_attempts ORDER BY trial_id, token")
        tasks = rows("SELECT * FROM search_task_scores ORDER BY trial_id, task")
        queries = rows("SELECT trial_id, count(*) AS n FROM search_query_scores GROUP BY trial_id")
        standings = rows("SELECT * FROM search_standings ORDER BY subset")

    mirrored = _read_optuna(engine, depths)
    return Contents(depths, trials, attempts, tasks, queries, standings, mirrored)


def _read_optuna(engine: Engine, depths: Rows) -> dict[int, list[FrozenTrial]]:
    """Return Optuna's trials by depth."""
    storage = open_optuna(engine.url)
    try:
        return {
            row["depth"]: optuna.load_study(study_name=row["optuna_study"], storage=storage).trials
            for row in depths
        }
    finally:
        storage.remove_session()
        storage.engine.dispose()


def find_problems(
    held: Contents, scores: TableScores, budgets: Mapping[int, int], queries: int
) -> list[str]:
    """Return all problems in words; none when all is well.

    Args:
        held: the store.
        scores: the right scores of each subset.
        budgets: the right number of trials of each depth.
        queries: the right number of queries of each task of a trial.
    """
    return [
        *_check_counts(held, budgets),
        *_check_trials(held, scores),
        *_check_attempts(held),
        *_check_optuna(held),
        *_check_scores(held, scores, queries),
        *_check_standings(held, scores),
        *_check_leaders(held, scores),
    ]


def _check_counts(held: Contents, budgets: Mapping[int, int]) -> Iterator[str]:
    """Yield problems with the number of trials: as many as budgeted, each subset once."""
    counts = Counter(trial["depth"] for trial in held.trials)
    if counts != budgets:
        yield f"trials by depth: {dict(counts)} instead of {dict(budgets)}"

    taken = {depth["depth"]: depth["taken"] for depth in held.depths}
    if taken != budgets:
        yield f"trials counted as taken: {taken} instead of {dict(budgets)}"

    subsets = Counter((trial["subset"], trial["seed"]) for trial in held.trials)
    yield from (f"{subset} was tried {n} times" for (subset, _), n in subsets.items() if n > 1)


def _check_trials(held: Contents, scores: TableScores) -> Iterator[str]:
    """Yield problems with the trials: each is complete and mirrored, with the right mean."""
    for trial in held.trials:
        name = f"trial {trial['subset']}"
        if trial["state"] != "complete":
            yield f"{name} is {trial['state']} ({trial['error']})"
            continue

        if trial["mean"] != scores[trial["subset"]]["mean"]:
            yield f"{name} has the mean {trial['mean']}, the table {scores[trial['subset']]}"
        if not trial["mirrored"]:
            yield f"{name} is not mirrored to Optuna"
        if trial["lease_until"] is not None or trial["finished_at"] is None:
            yield f"{name} is complete, but has a lease or no end"


def _check_attempts(held: Contents) -> Iterator[str]:
    """Yield problems with the history: every claim is in it and has ended, and one counts."""
    history: dict[int, Rows] = {trial["id"]: [] for trial in held.trials}
    for attempt in held.attempts:
        history[attempt["trial_id"]].append(attempt)

    for trial in held.trials:
        name, attempts = f"trial {trial['subset']}", history[trial["id"]]
        tokens = [attempt["token"] for attempt in attempts]
        if tokens != list(range(1, trial["token"] + 1)):
            yield f"{name} was claimed {trial['token']} times, its history has {tokens}"

        complete = [one["token"] for one in attempts if one["outcome"] == "complete"]
        if complete != [trial["result_token"]]:
            yield f"{name} has the result of {trial['result_token']}, complete are {complete}"

        for one in attempts:
            if one["outcome"] is None or one["ended_at"] is None:
                yield f"attempt {one['token']} of {name} has not ended"
            elif one["ended_at"] < one["started_at"]:
                yield f"attempt {one['token']} of {name} ended before it began"


def _check_optuna(held: Contents) -> Iterator[str]:
    """Yield problems with the mirror: it has each trial once as complete, with its value.

    Any other trial of Optuna must have failed: its worker died before it could link it to a trial.
    """
    for depth, mirrored in held.optuna.items():
        trials = {one["subset"]: one for one in held.trials if one["depth"] == depth}
        by_subset: dict[str, list[FrozenTrial]] = {subset: [] for subset in trials}
        for trial in mirrored:
            if trial.state is TrialState.COMPLETE:
                by_subset.setdefault(trial.user_attrs.get("subset", ""), []).append(trial)
            elif trial.state is not TrialState.FAIL:
                yield f"Optuna's trial {trial.number} of depth {depth} is {trial.state.name}"

        for subset, complete in by_subset.items():
            numbers = [trial.number for trial in complete]
            linked = trials.get(subset, {"optuna_number": None, "mean": None})
            if numbers != [linked["optuna_number"]]:
                yield (
                    f"{subset} is Optuna's {linked['optuna_number']}, complete there are {numbers}"
                )
            elif complete[0].values != [linked["mean"]]:
                yield f"{subset} has {linked['mean']}, in Optuna {complete[0].values}"


def _check_scores(held: Contents, scores: TableScores, queries: int) -> Iterator[str]:
    """Yield problems with the scores: each trial has each task and each query once."""
    tasks: dict[int, dict[str, float]] = {trial["id"]: {} for trial in held.trials}
    for row in held.tasks:
        tasks[row["trial_id"]][row["task"]] = row["score"]
    counts = {row["trial_id"]: row["n"] for row in held.queries}

    for trial in held.trials:
        wanted = {name: s for name, s in scores[trial["subset"]].items() if name != "mean"}
        if tasks[trial["id"]] != wanted:
            yield f"trial {trial['subset']} has the scores {tasks[trial['id']]}, not {wanted}"
        if counts.get(trial["id"], 0) != queries * len(wanted):
            yield f"trial {trial['subset']} has {counts.get(trial['id'], 0)} scores by query"


def _check_standings(held: Contents, scores: TableScores) -> Iterator[str]:
    """Yield problems with the leaderboard: it has each subset with its mean."""
    tried = {trial["subset"] for trial in held.trials}
    means = {row["subset"]: row["mean"] for row in held.standings}
    if set(means) != tried:
        yield f"the leaderboard has {len(means)} subsets of {len(tried)}"

    for subset in tried & set(means):
        if not math.isclose(means[subset], scores[subset]["mean"], rel_tol=_PRECISION):
            yield f"the leaderboard has {means[subset]} for {subset}"


def _check_leaders(held: Contents, scores: TableScores) -> Iterator[str]:
    """Yield problems with the depths: the best subset leads, and each score is counted."""
    for depth in held.depths:
        here = [trial for trial in held.trials if trial["depth"] == depth["depth"]]
        if depth["scored"] != len(here):
            yield f"depth {depth['depth']} counts {depth['scored']} scores of {len(here)}"

        best = max((scores[trial["subset"]]["mean"] for trial in here), default=None)
        leader = depth["leader"]
        if here and (leader is None or scores[leader]["mean"] != best):
            yield f"depth {depth['depth']} is led by {leader}"
