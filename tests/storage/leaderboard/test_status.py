"""The progress of studies: counts of budgeted trials, live workers, and the pace."""

from functools import partial

import pytest
from sqlalchemy import Engine, update

from storage.database import utc_now, write
from storage.leaderboard import DepthStatus, depth_statuses
from storage.queue import Claim, Result, enqueue
from storage.schema import Trial
from storage.states import Origin
from storage.studies import StudyRecord, set_budgets
from tests.support.stores import Workers, begin, finish_trial, new_trial, queue_of

FAILED = Result(None, error="the loss is NaN")


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """An empty study of depths 2 and 3."""
    return begin(engine, {2: 10, 3: 4})


@pytest.fixture
def worker(engine: Engine, study: StudyRecord) -> Workers:
    """The queue of `study` as one worker sees it, by name: a unless said otherwise."""
    return partial(queue_of, engine, study)


def depth_2(engine: Engine) -> DepthStatus:
    """Return the progress of depth 2 of the study."""
    (row, _) = depth_statuses(engine, "s")
    return row


def shift(engine: Engine, held: Claim, started: float, finished: float) -> None:
    """Say that a trial ran from so many seconds ago to so many."""
    times = {"started_at": utc_now(-started), "finished_at": utc_now(-finished)}
    with write(engine) as connection:
        connection.execute(update(Trial).where(Trial.id == held.trial_id).values(times))


# counts


def test_empty_study_has_its_budgets_and_no_pace(engine: Engine, study: StudyRecord) -> None:
    begin(engine, {2: 10, 3: 4}, "other")
    rows = depth_statuses(engine, study.name)
    assert [(row.study, row.base, row.depth, row.budget) for row in rows] == [
        ("s", "toy", 2, 10),
        ("s", "toy", 3, 4),
    ]
    for row in rows:
        counts = (row.complete, row.running, row.waiting, row.failed, row.set_aside, row.beyond)
        assert counts == (0, 0, 0, 0, 0, 0)
        assert (row.best, row.workers, row.per_hour, row.hours_left) == (None, 0, None, None)
    assert [row.study for row in depth_statuses(engine)] == ["other", "other", "s", "s"]


def test_states_are_of_the_trials_that_the_budget_counts(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    aside = Result(None, error="broke 3 times", set_aside=True)
    for layer, result in ((1, Result(0.25)), (2, Result(0.5)), (3, FAILED), (4, aside)):
        finish_trial(engine, study, new_trial((0, layer)), result)
    queue = worker()
    queue.give_back(queue.claim(new_trial((0, 5))))
    queue.claim(new_trial((0, 6)))

    manual = [new_trial((0, layer), origin=Origin.MANUAL) for layer in (7, 8, 9)]
    finish_trial(engine, study, manual[0], Result(0.75))
    finish_trial(engine, study, manual[1], FAILED)
    queue.claim(manual[2])
    again = [new_trial((0, layer), 1, Origin.REPLICATE) for layer in (2, 1)]
    assert enqueue(engine, study.id, again) == 2

    row = depth_2(engine)
    assert (row.complete, row.failed, row.set_aside) == (2, 2, 1)
    assert (row.waiting, row.running, row.beyond) == (1, 1, 5)
    assert row.best == 0.75  # of all
    assert queue.remaining(2) == 4


# workers


def test_worker_counts_once_and_while_its_lease_is_good(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    worker().claim(new_trial((0, 1)))
    worker().claim(new_trial((0, 2)))
    worker("b").claim(new_trial((0, 3), origin=Origin.MANUAL))
    worker("c", lease=-1).claim(new_trial((0, 4)))
    finish_trial(engine, study, new_trial((0, 5)), Result(0.5))
    assert depth_2(engine).workers == 2
    assert depth_2(engine).running == 3


# the pace


def test_pace_is_that_of_the_last_hour(engine: Engine, worker: Workers) -> None:
    queue = worker()
    for layer, (started, finished) in enumerate(((9000, 3700), (3900, 3500), (1800, 900)), 1):
        held = queue.claim(new_trial((0, layer)))
        queue.finish(held, Result(0.5))
        shift(engine, held, started, finished)
    queue.claim(new_trial((0, 9)))

    row = depth_2(engine)
    assert row.per_hour == 2  # the first ended earlier
    assert row.hours_left == 3.5  # of ten, three are over


def test_pace_of_a_young_study_is_that_since_its_first_trial_began(
    engine: Engine, worker: Workers
) -> None:
    queue = worker()
    for layer, result in ((1, Result(0.5)), (2, FAILED)):
        held = queue.claim(new_trial((0, layer)))
        queue.finish(held, result)
        shift(engine, held, 360 * layer, 10)
    queue.claim(new_trial((0, 9)))

    row = depth_2(engine)
    assert row.per_hour == pytest.approx(2 * 3600 / 720, rel=0.01)
    assert row.hours_left == pytest.approx(8 / 10, rel=0.01)


def test_no_pace_is_told_without_a_worker_or_a_recent_end(engine: Engine, worker: Workers) -> None:
    queue = worker()
    held = queue.claim(new_trial((0, 1)))
    queue.finish(held, Result(0.5))
    assert (depth_2(engine).per_hour, depth_2(engine).hours_left) == (None, None)

    queue.claim(new_trial((0, 2)))
    row = depth_2(engine)
    assert row.per_hour is not None
    assert row.hours_left == pytest.approx(9 / row.per_hour)

    shift(engine, held, 9000, 3700)
    assert (depth_2(engine).per_hour, depth_2(engine).hours_left) == (None, None)


def test_nothing_is_left_when_the_budget_was_lowered(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    for layer in (1, 2):
        finish_trial(engine, study, new_trial((0, layer)), Result(0.5))
    worker().claim(new_trial((0, 3)))
    set_budgets(engine, study, {2: 1})
    assert depth_2(engine).hours_left == 0
