"""What a sampler knows of a depth: every trial, read once, and again only while it is open."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from search.history import History
from search.samplers import Observation
from storage import claims, leaderboard, release, results, studies
from storage import engine as engines
from storage.claims import Claim
from storage.results import Result
from storage.schema import Trial
from storage.studies import StudyRecord


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3."""
    return studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={2: 99, 3: 9},
    )  # fmt: skip


@pytest.fixture
def take(engine: Engine, study: StudyRecord) -> Callable[..., Claim]:
    """Claims a subset."""

    def claim(subset: str, **changed: Any) -> Claim:  # noqa: ANN401
        given = {"seed": 0, "origin": "swap", "owner": "a", **changed}
        return claims.claim(engine, study.id, subset.count("_") + 1, subset=subset, **given)

    return claim


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The subsets that each reading got from the store."""
    seen: list[list[str]] = []
    history = leaderboard.history

    def watched(*arguments: Any, **options: Any) -> list[leaderboard.PastTrial]:  # noqa: ANN401
        rows = history(*arguments, **options)
        seen.append([row.subset for row in rows])
        return rows

    monkeypatch.setattr(leaderboard, "history", watched)
    return seen


def test_what_is_over_is_read_once_and_what_is_open_until_it_ends(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], asked: list[list[str]]
) -> None:
    history = History(engine, study.id, 2)
    assert history.read() == []
    first, second, third = (take(f"0_{layer}") for layer in (9, 3, 5))
    take("0_1_2")  # of another depth
    results.finish(engine, second, Result(0.5))
    states: list[tuple[str, float | None]] = [
        ("running", None),
        ("complete", 0.5),
        ("running", None),
    ]
    kept = [(0, 9), (0, 3), (0, 5)]
    assert history.read() == [
        Observation(subset, *state)  # type: ignore[arg-type]
        for subset, state in zip(kept, states, strict=True)
    ]
    release.give_back(engine, first)
    fourth = take("0_1")
    states = [("waiting", None), ("complete", 0.5), ("running", None), ("running", None)]
    found = history.read()
    assert [(one.state, one.score) for one in found] == states
    results.finish(engine, third, Result(None, error="the loss is NaN"))
    results.finish(engine, fourth, Result(0.25))
    states[2:] = [("failed", None), ("complete", 0.25)]
    assert [(one.state, one.score) for one in history.read()] == states
    again = claims.take_over(engine, study.id, [2], owner="b")
    assert again is not None
    results.finish(engine, again, Result(0.75))
    states[0] = ("complete", 0.75)
    for _ in range(2):
        assert [(one.state, one.score) for one in history.read()] == states
    assert asked == [
        [],
        ["0_9", "0_3", "0_5"],
        ["0_9", "0_5", "0_1"],
        ["0_9", "0_5", "0_1"],
        ["0_9", "0_5"],
        ["0_5"],
    ]
    mended = claims.take_over(engine, study.id, [2], owner="b", only=("0_5", 0))
    assert mended is not None
    results.finish(engine, mended, Result(0.5))
    states[2] = ("complete", 0.5)
    assert [(one.state, one.score) for one in history.read()] == states
    asked.clear()
    history.read()
    assert asked == [[]]
    assert History(engine, study.id, 2).read() == history.read()


def test_order_is_that_of_the_claims(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    history = History(engine, study.id, 2)
    for layer in (9, 3):
        take(f"0_{layer}")
        take(f"0_{layer}_20")
        history.read()
    claims.repeat(engine, study.id, 2, [("0_9", 1)])
    take("0_1")
    kept = [(0, 9), (0, 3), (0, 9), (0, 1)]
    assert [one.subset for one in history.read()] == kept
    results.finish(engine, claims_of(engine, "0_3"), Result(0.5))
    assert [one.subset for one in history.read()] == kept


def claims_of(engine: Engine, subset: str) -> Claim:
    """The claim of a subset."""
    (row,) = (row for row in leaderboard.trials(engine, "s") if row["subset"] == subset)
    return Claim(row["id"], 1, row["depth"], subset, row["seed"], row["token"], None)


def test_other_depths_are_those_of_the_same_base_and_recipe(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    """In any study: their complete trials, and nothing of this depth or of another recipe."""

    def other(name: str, recipe: str, base: str) -> StudyRecord:
        return studies.begin(
            engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash=recipe,
            base="toy", layers=22, period=3, fingerprints={"base": base} if base else {},
            versions={}, budgets={2: 9, 3: 9},
        )  # fmt: skip

    def finish(record: StudyRecord, subset: str, mean: float) -> None:
        held = claims.claim(
            engine, record.id, subset.count("_") + 1, subset=subset, seed=4, origin="gp", owner="a"
        )  # fmt: skip
        results.finish(engine, held, Result(mean))

    kin, stranger, changed = (
        other("kin", "hash", ""), other("stranger", "other", ""), other("changed", "hash", "new"),
    )  # fmt: skip
    finish(study, "0_1", 0.1)
    finish(study, "0_1_2", 0.2)
    take("0_1_3")  # running
    finish(kin, "0_4_5", 0.3)
    finish(kin, "0_4", 0.4)
    finish(stranger, "0_6_7", 0.5)
    finish(changed, "0_8_9", 0.6)
    found = History(engine, study.id, 2).of_other_depths()
    assert found == [
        Observation((0, 1, 2), "complete", 0.2, 4), Observation((0, 4, 5), "complete", 0.3, 4),
    ]  # fmt: skip
    assert History(engine, 99, 2).of_other_depths() == []


def test_ten_thousand_trials_fit_in_fifty_megabytes(engine: Engine, study: StudyRecord) -> None:
    number, depth = 10_000, 13
    subsets = [
        f"0_1_2_3_4_5_6_7_8_9_{10 + i // 900}_{30 + i // 30 % 30}_{60 + i % 30}"
        for i in range(number)
    ]
    fixed = {
        "study_id": study.id, "depth": depth, "seed": 0, "origin": "swap", "state": "complete",
        "token": 1, "crashes": 0, "told": True, "mean": 0.5,
    }  # fmt: skip
    studies.set_budgets(engine, study, {depth: number})
    with engines.write(engine) as connection:
        connection.execute(insert(Trial), [fixed | {"subset": subset} for subset in subsets])
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
