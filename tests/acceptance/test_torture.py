"""A study survives kills, stops and a database that goes away; benchmarks/torture.py in short."""

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def torture(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark; it finds its own modules beside it, as a script does."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("torture")


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_trial_is_finished_once(torture: Any, tmp_path: Path, database: str) -> None:
    plan = torture.Plan(
        trials=14, workers=3, kills=3, stops=1, restarts=2, outage=1.0, seconds=0.2, lease=1.0
    )
    said: list[str] = []
    report = torture.torture(plan, tmp_path, database=database, minutes=4, say=said.append)
    assert report.problems == [], said

    restarts = 2 if database == "postgresql" else 0  # a shutdown and a crash
    assert (report.done["kill"], report.done["stop"], report.done["restart"]) == (3, 1, restarts)
    assert len(report.attempts) == 14
    assert report.workers >= 3 + 3  # each killed one is made up for


def test_events_are_decided_by_the_seed(torture: Any) -> None:
    schedule = importlib.import_module("_schedule").schedule
    plan = torture.Plan(trials=100, workers=4)
    events = schedule(plan)
    assert events == schedule(plan)
    assert events != schedule(torture.Plan(trials=100, workers=4, seed=1))

    assert Counter(event.kind for event in events) == {"kill": 200, "stop": 20, "restart": 10}
    assert max(event.after for event in events) <= 100 - 3 * 4
    assert all(event.seconds > plan.lease for event in events if event.kind == "stop")
    away = [event for event in events if event.kind == "restart"]
    assert all(1 <= event.seconds <= 20 for event in away)

    kills = [event for event in events if event.kind == "kill"]
    for outage in away:  # a worker is killed while the database is away
        inside = [kill for kill in kills if kill.after == outage.after]
        assert any(0 <= kill.delay - outage.delay <= outage.seconds for kill in inside)
