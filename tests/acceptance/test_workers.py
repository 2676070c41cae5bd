"""Several workers of one command: they share a study, and one Ctrl-C stops them all."""

import signal
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageError
from storage.leaderboard import list_attempts
from tests.support.commands import run_command, start_command
from tests.support.replays import FIRST, store_at, trials_of, write_replay
from tests.support.stores import Row

WORKERS = 2


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_workers_share_a_study_to_its_end(store_url: str, card_study: Path) -> None:
    done = run_command("launch", card_study, "--workers", WORKERS, "--store", store_url)
    assert done.returncode == 0, done.stderr
    assert "[0] " in done.stderr
    assert "[1] " in done.stderr
    assert done.stdout.count("mean NDCG@10") == 4  # printed once, not by each worker

    rows = trials_of(store_url, "card")
    assert len({row["subset"] for row in rows}) == len(rows) == 27
    with store_at(store_url) as engine:
        assert {row["outcome"] for row in list_attempts(engine, "card")} == {"complete"}


def held_trials(url: str) -> list[Row]:
    """Return the trials of the study, none before there is a store."""
    try:
        return trials_of(url, "slow")
    except (StorageError, SQLAlchemyError):
        return []


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_ctrl_c_reaches_every_worker_once(store_url: str, tmp_path: Path) -> None:
    study = write_replay(tmp_path, "slow", {4: 5}, FIRST[:5], seconds=40)
    words = ("launch", study, "--workers", WORKERS, "--store", store_url)
    with start_command(*words) as fleet:
        rows: list[Row] = []
        for _ in range(300):
            rows = held_trials(store_url)
            if len(rows) == WORKERS:
                break
            time.sleep(0.1)
        fleet.send_signal(signal.SIGINT)
        _, said = fleet.communicate(timeout=30)

    assert [row["state"] for row in rows] == ["running"] * WORKERS
    assert len({row["owner"] for row in rows}) == WORKERS
    assert fleet.returncode == 130
    assert said.rstrip().endswith("error: interrupted")
    assert [row["state"] for row in trials_of(store_url, "slow")] == ["waiting"] * WORKERS
