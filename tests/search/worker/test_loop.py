"""The loop of a worker: budgets, depths, hand-picked subsets first, spaces that end."""

import threading
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from random import Random

import pytest
from sqlalchemy import Engine

from search import samplers
from search.observation import Observation
from search.samplers import SubsetSampler
from search.space import Subset, cadences, format_subset, parse_subset
from search.worker.loop import run_trials
from storage.leaderboard import depth_statuses
from storage.queue import NewTrial, Result, WorkerId
from storage.states import Origin
from storage.studies import find_study
from tests.support.stores import Dump, queue_of, trial_rows
from tests.support.workers import (
    LAYERS,
    Begin,
    Sums,
    Watcher,
    assert_mirrored,
    on_one_database,
    score,
    states,
)


def test_every_depth_gets_its_budget(engine: Engine, begin: Begin) -> None:
    session, watcher = begin(), Watcher()
    run_trials(session, watcher)

    found = trial_rows(engine)
    assert Counter(row["depth"] for row in found) == {2: 3, 3: 3}
    assert len({row["subset"] for row in found}) == 6
    assert {row["state"] for row in found} == {"complete"}
    assert {row["origin"] for row in found} == {"uniform"}
    assert {row["owner"] for row in found} == {str(WorkerId.current())}
    assert all(row["mean"] == score(parse_subset(row["subset"])) for row in found)
    assert all(row["evaluate_seconds"] == 0.5 for row in found)

    first = found[0]["subset"]
    assert watcher.events[:3] == [
        f"started {first}",
        "evaluate 0/1",
        f"finished {first} complete",
    ]
    assert len(watcher.events) == 3 * 6

    assert session.queue.unmirrored() == []
    assert_mirrored(engine)


def test_launching_again_does_nothing_more(engine: Engine, begin: Begin, dump: Dump) -> None:
    run_trials(begin(), Watcher())
    before = dump(engine)

    again, watcher = Sums(), Watcher()
    run_trials(begin(again), watcher)
    assert (again.seen, watcher.events) == ([], [])
    assert dump(engine) == before


def test_only_the_depths_asked_for_are_worked_on(engine: Engine, begin: Begin) -> None:
    run_trials(begin(only=[3]), Watcher())
    assert Counter(row["depth"] for row in trial_rows(engine)) == {3: 3}
    assert find_study(engine, "s").budgets == {2: 3, 3: 3}

    run_trials(begin(), Watcher())
    assert Counter(row["depth"] for row in trial_rows(engine)) == {2: 3, 3: 3}
    assert_mirrored(engine)


@pytest.mark.slow
def test_budget_can_be_raised_and_lowered(engine: Engine, begin: Begin) -> None:
    run_trials(begin(only=[2], budget=2), Watcher())
    assert find_study(engine, "s").budgets == {2: 2, 3: 3}

    run_trials(begin(only=[2], budget=6), Watcher())
    assert len(trial_rows(engine)) == 6

    run_trials(begin(only=[2], budget=1), Watcher())  # the trials that are done stay
    assert states(engine) == ["complete"] * 6
    assert find_study(engine, "s").budgets == {2: 1, 3: 3}


@on_one_database
@pytest.mark.parametrize("sampler", samplers.names())
def test_exhausted_space_ends_before_the_budget(engine: Engine, begin: Begin, sampler: str) -> None:
    run_trials(begin(depths=[5], trials=10, sampler=sampler), Watcher())

    found = trial_rows(engine)
    every = {format_subset(subset) for subset in combinations(range(LAYERS), 5)}
    assert sorted(row["subset"] for row in found) == sorted(every)
    assert {row["state"] for row in found} == {"complete"}

    (status,) = depth_statuses(engine, "s")
    assert (status.depth, status.complete, status.budget) == (5, 6, 10)


def test_first_subsets_are_tried_first_in_order(engine: Engine, begin: Begin) -> None:
    wanted = ["4_5", "1_2_3", "0_3", "spread", "0_3"]
    session = begin(first=wanted, space={"cadence": "strict"})
    run_trials(session, Watcher())

    tried = [(row["depth"], row["subset"], row["origin"]) for row in trial_rows(engine)]
    assert tried[:3] == [(2, "4_5", "first"), (2, "0_3", "first"), (2, "0_5", "first")]
    assert tried[3:5] == [(3, "1_2_3", "first"), (3, "0_2_5", "first")]
    assert [origin for *_, origin in tried].count("first") == 5

    assert [format_subset(subset) for subset in session.plans[2].outside] == ["4_5", "0_3"]
    for depth, subset, origin in tried:
        assert origin == "first" or parse_subset(subset) in session.plans[depth].space
    assert_mirrored(engine)


@pytest.mark.parametrize("cadence", cadences.names())
def test_every_cadence_is_worked_to_the_end(engine: Engine, begin: Begin, cadence: str) -> None:
    session = begin(space={"cadence": cadence})
    run_trials(session, Watcher())
    for row in trial_rows(engine):
        assert row["state"] == "complete"
        assert parse_subset(row["subset"]) in session.plans[row["depth"]].space
    assert_mirrored(engine)


def test_first_subsets_tried_by_others_are_not_repeated(engine: Engine, begin: Begin) -> None:
    session = begin(first=["0_1", "0_2"])
    other = queue_of(engine, session.study, "w")
    other.finish(other.claim(NewTrial((0, 1), 9, Origin.MANUAL)), Result(0.5))
    run_trials(session, Watcher())

    tried = [row["subset"] for row in trial_rows(engine) if row["depth"] == 2]
    assert tried[:2] == ["0_1", "0_2"]
    assert len(tried) == len(set(tried)) == 4  # the manual one is outside the budget of 3


@on_one_database
@pytest.mark.parametrize("transfer", [True, False])
def test_sampler_hears_of_other_depths_only_if_it_asks(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, *, transfer: bool
) -> None:
    heard: list[set[int]] = []
    gp = samplers.load("gp")
    propose = gp.propose

    def listen(self: SubsetSampler, history: Sequence[Observation], rng: Random) -> Subset:
        heard.append({len(trial.subset) for trial in history})
        return propose(self, history, rng)

    monkeypatch.setattr(gp, "propose", listen)
    run_trials(begin(sampler={"name": "gp", "transfer": transfer}), Watcher())
    assert max(map(len, heard)) == (2 if transfer else 1)


def test_worker_in_a_thread_works_too(engine: Engine, begin: Begin) -> None:
    thread = threading.Thread(target=run_trials, args=(begin(), Watcher()))
    thread.start()
    thread.join()
    assert Counter(states(engine)) == {"complete": 6}
