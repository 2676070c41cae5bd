"""Replication: more seeds for the subsets that may be the best of their depth."""

import pytest
from sqlalchemy import Engine, select

from search.study.replication import Replication, replicate_depth
from storage.database import read
from storage.leaderboard import rank_subsets
from storage.queue import Result
from storage.schema import Trial
from storage.states import Origin, TrialState
from storage.values.subset_key import Subset, parse_subset
from tests.support.scores import SUBSETS, begin_scored, draw_trials, record_trials
from tests.support.stores import begin, finish_trial, new_trial, queue_of


def waiting(engine: Engine) -> list[tuple[Subset, int]]:
    """Return subset and seed of each trial that waits; all of them must be replicates."""
    query = select(Trial.subset, Trial.seed, Trial.origin).where(Trial.state == TrialState.WAITING)
    with read(engine) as connection:
        rows = connection.execute(query).all()
    assert {row.origin for row in rows} <= {Origin.REPLICATE}
    return sorted((row.subset, row.seed) for row in rows)


def test_seeds_are_added_to_the_best_of_the_tied_only(engine: Engine) -> None:
    study = begin_scored(engine)
    record_trials(engine, study, draw_trials(4, queries=True, repeated=False, step=0))
    tied = [parse_subset(row["subset"]) for row in rank_subsets(engine, "s", 3) if row["tied"]]
    assert len(tied) > 2

    found = replicate_depth(engine, study, 3, top=2, seeds=3)
    assert found.added == 4
    assert found.summary == f"tied subsets: {len(tied)}, of which the best 2; trials added: 4"
    assert replicate_depth(engine, study, 3, top=2, seeds=3).added == 0  # they wait already

    assert waiting(engine) == sorted((subset, n) for subset in tied[:2] for n in (1, 2))
    assert queue_of(engine, study).remaining(3) == 99 - len(SUBSETS)  # outside the budget


def test_seeds_go_on_from_the_one_of_the_study(engine: Engine) -> None:
    """A seed that was tried, also by hand or in vain, is not tried again."""
    study = begin(engine, {2: 9}, file={"study": {"name": "s", "seed": 7}})
    for subset, seed, mean in [((0, 1), 7, 0.5), ((0, 1), 9, 0.5), ((0, 2), 3, 0.5)]:
        finish_trial(engine, study, new_trial(subset, seed), Result(mean))
    finish_trial(engine, study, new_trial((0, 2), 8), Result(None, error="the loss is NaN"))

    assert all(row["tied"] for row in rank_subsets(engine, "s", 2))
    assert replicate_depth(engine, study, 2, top=5, seeds=4).added == 4
    assert waiting(engine) == [((0, 1), 8), ((0, 1), 10), ((0, 2), 7), ((0, 2), 9)]


def test_where_ties_are_unknown_the_best_count_as_tied(engine: Engine) -> None:
    """Scores without queries, tasks and repeats have no error."""
    study = begin(engine, {2: 9}, file={"study": {"name": "s", "seed": 0}})
    for layer in (1, 2, 3):
        finish_trial(engine, study, new_trial((0, layer)), Result(layer / 10))
    assert [row["tied"] for row in rank_subsets(engine, "s", 2)] == [1, None, None]

    replicate_depth(engine, study, 2, top=2, seeds=2)
    assert waiting(engine) == [((0, 2), 1), ((0, 3), 1)]


def test_a_leader_that_stands_alone_gets_none(engine: Engine) -> None:
    study = begin_scored(engine)
    record_trials(engine, study, draw_trials(4, queries=True, repeated=False, step=2))
    leader = rank_subsets(engine, "s", 3)[0]["subset"]
    message = f"{leader} leads alone: more seeds decide nothing"
    assert replicate_depth(engine, study, 3, top=9, seeds=9) == Replication(0, message)
    assert waiting(engine) == []


@pytest.mark.parametrize("has_failed", [True, False])
def test_without_a_score_there_is_nothing_to_repeat(engine: Engine, *, has_failed: bool) -> None:
    study = begin(engine, {2: 9})
    if has_failed:
        finish_trial(engine, study, new_trial((0, 1)), Result(None, error="the loss is NaN"))
    expected = Replication(0, "no trial is complete yet")
    assert replicate_depth(engine, study, 2, top=5, seeds=3) == expected
