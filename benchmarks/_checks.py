"""What must hold of a store after a study, whatever happened to its workers and its database."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, text

from storage import engine as engines
from storage.optuna_storage import open_optuna

Rows = list[dict[str, Any]]
Scores = Mapping[str, Mapping[str, float]]
"""By subset key, the score by task, and the mean as the task `mean`."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds of its only study."""

    depths: Rows
    trials: Rows
    attempts: Rows
    tasks: Rows
    queries: Rows
    standings: Rows
    optuna: Mapping[int, list[FrozenTrial]]
    """Optuna's trials by depth."""


def read(engine: Engine) -> Contents:
    """Everything the checks look at."""
    queries = "SELECT trial_id, count(*) AS n FROM search_query_scores GROUP BY trial_id"
    with engines.read(engine) as connection:

        def rows(query: str) -> Rows:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

        depths = rows("SELECT * FROM search_depths ORDER BY depth")
        trials = rows("SELECT * FROM search_trials ORDER BY id")
        attempts = rows("SELECT * FROM search_attempts ORDER BY trial_id, token")
        tasks = rows("SELECT * FROM search_task_scores ORDER BY trial_id, task")
        per_query = rows(queries)
        standings = rows("SELECT * FROM search_standings ORDER BY subset")
    storage = open_optuna(engine.url)
    try:
        mirrored = {
            depth["depth"]: optuna.load_study(
                study_name=depth["optuna_study"], storage=storage
            ).trials
            for depth in depths
        }
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return Contents(depths, trials, attempts, tasks, per_query, standings, mirrored)


def problems(held: Contents, scores: Scores, budgets: Mapping[int, int], queries: int) -> list[str]:
    """What is wrong, in words; nothing when all is well.

    Args:
        held: the store.
        scores: what each subset must have.
        budgets: how many trials each depth must have.
        queries: how many queries each task of a trial must have.
    """
    found = [*_trials(held, scores, budgets), *_attempts(held), *_optuna(held)]
    found += [*_scores(held, scores, queries), *_standings(held, scores)]
    return found


def _trials(held: Contents, scores: Scores, budgets: Mapping[int, int]) -> Iterator[str]:
    """Each trial is finished once, with the score of the table, and they are as many as asked."""
    counts = Counter(trial["depth"] for trial in held.trials)
    if counts != budgets:
        yield f"trials by depth: {dict(counts)} instead of {dict(budgets)}"
    taken = {depth["depth"]: depth["taken"] for depth in held.depths}
    if taken != budgets:
        yield f"trials counted as taken: {taken} instead of {dict(budgets)}"
    subsets = Counter((trial["subset"], trial["seed"]) for trial in held.trials)
    yield from (f"{subset} was tried {n} times" for (subset, _), n in subsets.items() if n > 1)
    for trial in held.trials:
        name = f"trial {trial['subset']}"
        if trial["state"] != "complete":
            yield f"{name} is {trial['state']} ({trial['error']})"
            continue
        if trial["mean"] != scores[trial["subset"]]["mean"]:
            yield f"{name} has the mean {trial['mean']}, the table {scores[trial['subset']]}"
        if not trial["told"]:
            yield f"{name} was not told to Optuna"
        if trial["lease_until"] is not None or trial["finished_at"] is None:
            yield f"{name} is complete, but has a lease or no end"


def _attempts(held: Contents) -> Iterator[str]:
    """Each claim is in the history, has ended, and one of them is the one that counts."""
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


def _optuna(held: Contents) -> Iterator[str]:
    """Optuna holds the same trials, each once, with the same values; others can only have failed.

    Such others stand for nothing: their worker died before it could say which trial of ours it is.
    """
    for depth, mirrored in held.optuna.items():
        mine = {one["subset"]: one for one in held.trials if one["depth"] == depth}
        named: dict[str, list[FrozenTrial]] = {subset: [] for subset in mine}
        for trial in mirrored:
            if trial.state is TrialState.COMPLETE:
                named.setdefault(trial.user_attrs.get("subset", ""), []).append(trial)
            elif trial.state is not TrialState.FAIL:
                yield f"Optuna's trial {trial.number} of depth {depth} is {trial.state.name}"
        for subset, complete in named.items():
            numbers = [trial.number for trial in complete]
            ours = mine.get(subset, {"optuna_number": None, "mean": None})
            if numbers != [ours["optuna_number"]]:
                yield f"{subset} is Optuna's {ours['optuna_number']}, complete there are {numbers}"
            elif complete[0].values != [ours["mean"]]:
                yield f"{subset} has {ours['mean']}, in Optuna {complete[0].values}"


def _scores(held: Contents, scores: Scores, queries: int) -> Iterator[str]:
    """Each trial has the score of each task, and all its queries, once."""
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


def _standings(held: Contents, scores: Scores) -> Iterator[str]:
    """The leaderboard has each subset, with its mean, and the right leader."""
    tried = {trial["subset"] for trial in held.trials}
    means = {row["subset"]: row["mean"] for row in held.standings}
    if set(means) != tried:
        yield f"the leaderboard has {len(means)} subsets of {len(tried)}"
    for subset in tried & set(means):
        if not math.isclose(means[subset], scores[subset]["mean"], rel_tol=1e-12):
            yield f"the leaderboard has {means[subset]} for {subset}"
    for depth in held.depths:
        here = [trial for trial in held.trials if trial["depth"] == depth["depth"]]
        best = max((scores[trial["subset"]]["mean"] for trial in here), default=None)
        leader = depth["leader"]
        if depth["scored"] != len(here):
            yield f"depth {depth['depth']} counts {depth['scored']} scores of {len(here)}"
        if here and (leader is None or scores[leader]["mean"] != best):
            yield f"depth {depth['depth']} is led by {leader}"
