"""The trials of a depth as samplers see them: read once, and again only while they are open."""

import tracemalloc
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from search.observation import Observation
from search.study import history as module
from search.study.history import History
from storage.database import write
from storage.queue import Claim, Result, TrialQueue, enqueue
from storage.schema import Trial
from storage.states import Origin, TrialState
from storage.studies import StudyRecord, set_budgets
from storage.trials import PastTrial, read_history
from storage.values.subset_key import Subset
from tests.support.stores import begin, finish_trial, new_trial, queue_of

Seen = tuple[str, float | None]
"""State and score of a trial, as samplers see it."""
PENDING: Seen = ("pending", None)
FAILED: Seen = ("failed", None)


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3."""
    return begin(engine, {2: 99, 3: 9})


@pytest.fixture
def queue(engine: Engine, study: StudyRecord) -> TrialQueue:
    """The queue of the study."""
    return queue_of(engine, study)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Subset]]:
    """The subsets that each reading got from the store."""
    seen: list[list[Subset]] = []

    def watched(*arguments: Any, **options: Any) -> list[PastTrial]:
        rows = read_history(*arguments, **options)
        seen.append([row.subset for row in rows])
        return rows

    monkeypatch.setattr(module, "read_history", watched)
    return seen


def states(found: list[Observation]) -> list[Seen]:
    """Return state and score of each trial; no two states may hold at once."""
    for one in found:
        assert [one.score is not None, one.is_pending, one.has_failed].count(True) == 1
    return [
        ("failed" if one.has_failed else "pending" if one.is_pending else "complete", one.score)
        for one in found
    ]


def claim(queue: TrialQueue, *subset: int) -> Claim:
    """Claim a subset with seed 0."""
    return queue.claim(new_trial(subset))


# one depth


def test_ended_trials_are_read_once_and_open_ones_until_they_end(
    engine: Engine, study: StudyRecord, queue: TrialQueue, asked: list[list[Subset]]
) -> None:
    history = History(engine, study.id, 2)
    assert history.read() == []
    first, second, third = (claim(queue, 0, layer) for layer in (9, 3, 5))
    claim(queue, 0, 1, 2)  # of another depth
    queue.finish(second, Result(0.5))
    assert history.read() == [
        Observation((0, 9), is_pending=True),
        Observation((0, 3), 0.5),
        Observation((0, 5), is_pending=True),
    ]

    # a trial that is given back waits, and a new one runs
    queue.give_back(first)
    fourth = claim(queue, 0, 1)
    assert states(history.read()) == [PENDING, ("complete", 0.5), PENDING, PENDING]

    # a failure, and a score
    queue.finish(third, Result(None, error="the loss is NaN"))
    queue.finish(fourth, Result(0.25))
    expected = [PENDING, ("complete", 0.5), FAILED, ("complete", 0.25)]
    assert states(history.read()) == expected

    # another worker takes over the one that was given back
    other = queue_of(engine, study, "b")
    again = other.take_over([2])
    assert again is not None
    other.finish(again, Result(0.75))
    expected[0] = ("complete", 0.75)
    for _ in range(2):
        assert states(history.read()) == expected

    assert asked == [
        [],
        [(0, 9), (0, 3), (0, 5)],
        [(0, 9), (0, 5), (0, 1)],
        [(0, 9), (0, 5), (0, 1)],
        [(0, 9), (0, 5)],
        [(0, 5)],
    ]

    # the one that failed is run again
    mended = other.reopen((0, 5), 0)
    assert mended is not None
    other.finish(mended, Result(0.5))
    expected[2] = ("complete", 0.5)
    assert states(history.read()) == expected
    asked.clear()
    history.read()
    assert asked == [[]]
    assert History(engine, study.id, 2).read() == history.read()


def test_order_is_that_of_the_claims(engine: Engine, study: StudyRecord, queue: TrialQueue) -> None:
    history = History(engine, study.id, 2)
    held = {}
    for layer in (9, 3):
        held[layer] = claim(queue, 0, layer)
        claim(queue, 0, layer, 20)
        history.read()
    enqueue(engine, study.id, [new_trial((0, 9), 1, Origin.REPLICATE)])
    claim(queue, 0, 1)

    kept = [(0, 9), (0, 3), (0, 9), (0, 1)]
    assert [one.subset for one in history.read()] == kept
    assert [one.seed for one in history.read()] == [0, 0, 1, 0]
    queue.finish(held[3], Result(0.5))
    assert [one.subset for one in history.read()] == kept


# other depths


def test_other_depths_are_of_the_same_base_and_recipe(
    engine: Engine, study: StudyRecord, queue: TrialQueue
) -> None:
    """In any study: their complete trials, and nothing of this depth or of another recipe."""
    budgets = {2: 9, 3: 9}
    kin = begin(engine, budgets, "kin")
    stranger = begin(engine, budgets, "stranger", recipe_hash="other")
    changed = begin(engine, budgets, "changed", fingerprints={"base": "new"})

    scores: list[tuple[StudyRecord, Subset, float]] = [
        (study, (0, 1), 0.1),
        (study, (0, 1, 2), 0.2),
        (kin, (0, 4, 5), 0.3),
        (kin, (0, 4), 0.4),
        (stranger, (0, 6, 7), 0.5),
        (changed, (0, 8, 9), 0.6),
    ]
    claim(queue, 0, 1, 3)  # running
    for record, subset, mean in scores:
        finish_trial(engine, record, new_trial(subset, 4), Result(mean))

    found = History(engine, study.id, 2).read_other_depths()
    assert found == [
        Observation((0, 1, 2), 0.2, seed=4),
        Observation((0, 4, 5), 0.3, seed=4),
    ]
    assert History(engine, 99, 2).read_other_depths() == []


# many trials


@pytest.mark.slow
def test_ten_thousand_trials_fit_in_fifty_megabytes(engine: Engine, study: StudyRecord) -> None:
    number, depth = 10_000, 13
    fixed = {
        "study_id": study.id,
        "depth": depth,
        "seed": 0,
        "origin": Origin.SAMPLER,
        "sampler": "swap",
        "state": TrialState.COMPLETE,
        "token": 1,
        "crashes": 0,
        "mirrored": True,
        "mean": 0.5,
    }
    ends = [(10 + i // 900, 30 + i // 30 % 30, 60 + i % 30) for i in range(number)]
    rows = [fixed | {"subset": (*range(10), *end)} for end in ends]
    set_budgets(engine, study, {depth: number})
    with write(engine) as connection:
        connection.execute(insert(Trial), rows)

    history = History(engine, study.id, depth)
    tracemalloc.start()
    try:
        assert len(history.read()) == number
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert len(history.read()) == number
        again = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()

    assert peak < 50_000_000
    assert held < 20_000_000
    assert again < 1_000_000  # nothing is read again
