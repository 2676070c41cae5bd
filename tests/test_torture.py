"""A study survives kills, stops and a database that goes away; benchmarks/torture.py in short."""

import importlib
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def torture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark; it finds its own modules beside it, as a script does."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("torture")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_trial_is_finished_once(torture: ModuleType, tmp_path: Path, database: str) -> None:
    plan = torture.Plan(
        trials=40, workers=3, kills=8, stops=2, restarts=2, outage=2.0, seconds=0.2, lease=2.0
    )
    said: list[str] = []
    report = torture.torture(plan, tmp_path, database=database, minutes=4, say=said.append)
    assert report.problems == [], said
    restarts = 2 if database == "postgresql" else 0
    assert (report.done["kill"], report.done["stop"], report.done["restart"]) == (8, 2, restarts)
    assert len(report.attempts) == 40
    assert report.workers >= 3 + 8  # each killed one is made up for


def test_what_happens_is_decided_by_the_seed(torture: ModuleType) -> None:
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
    for outage in away:  # somebody is killed while the database is away
        inside = [kill for kill in kills if kill.after == outage.after]
        assert any(0 <= kill.delay - outage.delay <= outage.seconds for kill in inside)
