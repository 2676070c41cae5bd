"""A study survives kills, stops and a database that goes away; benchmarks/torture.py in short."""

import importlib
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
    assert report.workers == 3 + 8 + 1  # a kill is made up for, and one more looks at the end
