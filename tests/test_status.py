"""Where studies stand: counts of what the budget counts, live workers, and the pace."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, update

from storage import claims, release, results, studies
from storage import engine as engines
from storage.claims import Claim
from storage.clock import utc_now
from storage.results import Result
from storage.schema import MANUAL, SET_ASIDE, Trial
from storage.status import DepthStatus, status
from storage.studies import StudyRecord


def begin(engine: Engine, name: str = "s") -> StudyRecord:
    """A study of depths 2 and 3."""
    return studies.begin(
        engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={2: 10, 3: 4},
    )  # fmt: skip


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """An empty study."""
    return begin(engine)


@pytest.fixture
def take(engine: Engine, study: StudyRecord) -> Callable[..., Claim]:
    """Claims a subset, as worker `a` unless said otherwise."""

    def claim(subset: str, **changed: Any) -> Claim:  # noqa: ANN401
        given = {"seed": 0, "origin": "swap", "owner": "a", **changed}
        return claims.claim(engine, study.id, subset.count("_") + 1, subset=subset, **given)

    return claim


def depth_2(engine: Engine) -> DepthStatus:
    """Where depth 2 of the study stands."""
    (row, _) = status(engine, "s")
    return row


def shift(engine: Engine, held: Claim, started: float, finished: float) -> None:
    """Say that a trial ran from so many seconds ago to so many."""
    times = {"started_at": utc_now(-started), "finished_at": utc_now(-finished)}
    with engines.write(engine) as connection:
        connection.execute(update(Trial).where(Trial.id == held.trial_id).values(times))


def test_empty_study_has_its_budgets_and_no_pace(engine: Engine, study: StudyRecord) -> None:
    begin(engine, "other")
    rows = status(engine, study.name)
    assert [(row.study, row.base, row.depth, row.budget) for row in rows] == [
        ("s", "toy", 2, 10), ("s", "toy", 3, 4),
    ]  # fmt: skip
    for row in rows:
        counts = (row.complete, row.running, row.waiting, row.failed, row.set_aside, row.beyond)
        assert counts == (0, 0, 0, 0, 0, 0)
        assert (row.best, row.workers, row.per_hour, row.hours_left) == (None, 0, None, None)
    assert [row.study for row in status(engine)] == ["other", "other", "s", "s"]


def test_states_are_those_of_the_trials_that_the_budget_counts(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    for layer, mean in ((1, 0.25), (2, 0.5)):
        results.finish(engine, take(f"0_{layer}"), Result(mean))
    results.finish(engine, take("0_3"), Result(None, error="the loss is NaN"))
    results.finish(engine, take("0_4"), Result(None, error=f"{SET_ASIDE}broke 3 times"))
    release.give_back(engine, take("0_5"))
    take("0_6")
    results.finish(engine, take("0_7", origin=MANUAL), Result(0.75))
    results.finish(engine, take("0_8", origin=MANUAL), Result(None, error="the loss is NaN"))
    take("0_9", origin=MANUAL)
    assert claims.repeat(engine, study.id, 2, [("0_2", 1), ("0_1", 1)]) == 2
    row = depth_2(engine)
    assert (row.complete, row.failed, row.set_aside) == (2, 2, 1)
    assert (row.waiting, row.running, row.beyond) == (1, 1, 5)
    assert row.best == 0.75  # of all
    assert claims.remaining(engine, study.id, 2) == 4


def test_worker_counts_once_and_while_its_lease_is_good(
    engine: Engine, take: Callable[..., Claim]
) -> None:
    take("0_1")
    take("0_2")
    take("0_3", owner="b", origin=MANUAL)
    take("0_4", owner="c", lease=-1)
    results.finish(engine, take("0_5", owner="d"), Result(0.5))
    assert depth_2(engine).workers == 2
    assert depth_2(engine).running == 3


def test_pace_is_that_of_the_last_hour(engine: Engine, take: Callable[..., Claim]) -> None:
    for layer, (started, finished) in enumerate(((9000, 3700), (3900, 3500), (1800, 900)), 1):
        held = take(f"0_{layer}")
        results.finish(engine, held, Result(0.5))
        shift(engine, held, started, finished)
    take("0_9")
    row = depth_2(engine)
    assert row.per_hour == 2  # the first ended earlier
    assert row.hours_left == 3.5  # of ten, three are over


def test_pace_of_a_young_study_is_that_since_its_first_trial_began(
    engine: Engine, take: Callable[..., Claim]
) -> None:
    for layer, mean in ((1, 0.5), (2, None)):
        held = take(f"0_{layer}")
        results.finish(engine, held, Result(mean, error=None if mean else "the loss is NaN"))
        shift(engine, held, 360 * layer, 10)
    take("0_9")
    row = depth_2(engine)
    assert row.per_hour == pytest.approx(2 * 3600 / 720, rel=0.01)
    assert row.hours_left == pytest.approx(8 / 10, rel=0.01)


def test_no_pace_is_told_without_a_worker_or_a_recent_end(
    engine: Engine, take: Callable[..., Claim]
) -> None:
    held = take("0_1")
    results.finish(engine, held, Result(0.5))
    assert (depth_2(engine).per_hour, depth_2(engine).hours_left) == (None, None)
    take("0_2")
    assert depth_2(engine).per_hour is not None
    shift(engine, held, 9000, 3700)
    assert (depth_2(engine).per_hour, depth_2(engine).hours_left) == (None, None)


def test_nothing_is_left_when_the_budget_was_lowered(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    for layer in (1, 2):
        results.finish(engine, take(f"0_{layer}"), Result(0.5))
    take("0_3")
    studies.set_budgets(engine, study, {2: 1})
    assert depth_2(engine).hours_left == 0
