"""Processes that share a study without knowing of each other: no subset is tried twice."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine

from search.study.file import read_study_file
from search.study.plan import build_evaluator
from search.worker.session import begin_session
from tests.support.commands import start_command
from tests.support.replays import store_at
from tests.support.stores import trial_rows
from tests.support.workers import LAYERS, assert_mirrored, write_table

TOML = f"""
study = {{ name = "s", depths = [2, 3], trials = {{ 2 = 10, 3 = 16 }} }}
space = {{ cadence = "free", keep_first = false }}
sampler = {{ name = "uniform" }}
evaluator = {{ name = "table", path = "toy.csv", layers = {LAYERS}, period = 3 }}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file over the toy base whose scores stand in a table."""
    write_table(tmp_path)
    path = tmp_path / "s.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def run_two(*words: object) -> None:
    """Run two processes of one command at the same time; both must succeed."""
    workers = [start_command(*words) for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in workers]
    assert [code for _, code in ends] == [0, 0], ends


def assert_shared(engine: Engine) -> None:
    """Check that every trial of the study was claimed once."""
    found = trial_rows(engine)
    assert Counter(row["depth"] for row in found) == {2: 10, 3: 16}
    assert len({row["subset"] for row in found}) == 26
    assert {(row["state"], row["token"]) for row in found} == {("complete", 1)}
    assert len({row["owner"] for row in found}) <= 2
    assert_mirrored(engine)


@pytest.mark.slow
def test_launches_at_once_create_the_store_and_share_the_study(store_url: str, study: Path) -> None:
    run_two("launch", study, "--store", store_url)
    with store_at(store_url) as engine:
        assert_shared(engine)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_workers_that_know_only_the_store_share_the_study(
    engine: Engine, store_url: str, study: Path
) -> None:
    file, folder = read_study_file(study), study.parent
    begin_session(engine, file, folder, build_evaluator(file, folder)).mirror.close()
    run_two("work", "--store", store_url)
    assert_shared(engine)
