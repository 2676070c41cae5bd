"""Two machines that share nothing but a store, as far as their commands can tell."""

import csv
import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.commands import COMMAND, Done, Running

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LEASE = 3.0  # longer than the other machine takes to start, which must wait for it
TRIALS = 5
# a host name of its own, which only root may give, in a namespace that not every kernel allows
RENAMED = """
import os, socket, sys
socket.sethostname(sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""
STUDY = f"""
[study]
name = "pairs"
depths = [2]
trials = {TRIALS}

[space]
cadence = "free"
keep_first = false

[evaluator]
name = "table"
path = "table.csv"
layers = 8
seconds = 0.4
"""


def can_rename() -> bool:
    """Whether a process can be given a host name of its own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "--uts", sys.executable, "-c", RENAMED, "elsewhere", "/bin/true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Machine:
    """A machine: folder, home, time zone and, where the kernel allows it, host name of its own.

    Args:
        folder: folder of both machines.
        name: its name.
        zone: its time zone.
        url: URL of the store.
    """

    def __init__(self, folder: Path, name: str, zone: str, url: str) -> None:
        self.folder = folder / name
        self._prefix: list[str] = []
        if can_rename():
            self._prefix = ["unshare", "--uts", sys.executable, "-c", RENAMED, name]
        self._environment = {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "TZ": zone,
            "LAYER_SEARCH_STORE": url,
            "LAYER_SEARCH_STATE": str(self.folder / "state"),
            "LAYER_SEARCH_LEASE": str(LEASE),
        }
        for inside in ("home", "data", "anywhere"):
            (self.folder / inside).mkdir(parents=True)

    @property
    def table(self) -> Path:
        """Its copy of the table."""
        return self.folder / "data" / "table.csv"

    def start(self, *words: object) -> Running:
        """Start the command in a folder that has nothing to do with the study."""
        return Running(
            [*self._prefix, COMMAND, *map(str, words)],
            cwd=self.folder / "anywhere",
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: object) -> Done:
        """Run the command to its end."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return Done(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """URL of a database on a TCP port, the same for both machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        server = importlib.import_module("_server").Server({"fsync": "off"})
    with server:
        yield server.url


def prepare(folder: Path, url: str) -> tuple[Machine, Machine]:
    """Return a machine with a study and its table, and one with its own copy of the table."""
    one = Machine(folder, "one", "Pacific/Auckland", url)
    other = Machine(folder, "other", "America/Los_Angeles", url)
    rows = [(f"{low}_{high}", (low + high) / 20) for high in range(8) for low in range(high)]
    for machine in (one, other):
        with machine.table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("subset", "mean"), *rows])
    (one.folder / "data" / "pairs.toml").write_text(STUDY, encoding="utf-8")
    return one, other


def query(url: str, text: str) -> list[dict[str, Any]]:
    """Return the rows of a piece of SQL; none before the store exists."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        try:
            return connection.execute(text.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def trials_at(url: str) -> list[dict[str, Any]]:
    """Return the trials of the store, oldest first."""
    return query(url, "SELECT * FROM search_trials ORDER BY id")


def begin(machine: Machine, url: str) -> Running:
    """Launch the study, and come back when its third trial has just begun."""
    launched = machine.start("launch", machine.folder / "data" / "pairs.toml")
    for _ in range(1200):
        states = [row["state"] for row in trials_at(url)]
        if states == ["complete", "complete", "running"]:
            return launched
        assert launched.poll() is None, launched.communicate()
        time.sleep(0.05)
    pytest.fail("the study did not come to its third trial")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, url: str) -> tuple[Machine, Machine]:
    """Both, after one was killed with a study on it and the other has finished the study."""
    one, other = prepare(tmp_path_factory.mktemp("machines"), url)
    with begin(one, url) as launched:
        launched.kill()
    done = other.run("work", "pairs", "--folder", other.table.parent)
    assert done.returncode == 0, done.stderr
    return one, other


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.usefixtures("finished")
def test_other_machine_finishes_the_study_of_a_dead_one(url: str) -> None:
    trials = trials_at(url)
    assert [row["state"] for row in trials] == ["complete"] * TRIALS
    assert len({row["subset"] for row in trials}) == TRIALS
    sums = [sum(map(int, row["subset"].split("_"))) / 20 for row in trials]
    assert [row["mean"] for row in trials] == sums

    attempts = query(url, "SELECT * FROM search_attempts ORDER BY trial_id, token")
    outcomes = ["complete", "complete", "died", *["complete"] * (TRIALS - 2)]
    assert [row["outcome"] for row in attempts] == outcomes
    died, again = attempts[2:4]
    assert died["trial_id"] == again["trial_id"]

    if can_rename():  # otherwise the death is seen at once, for both are on one host
        hosts = [row["owner"].split(":")[0] for row in attempts]
        assert hosts == ["one"] * 3 + ["other"] * (TRIALS - 2)
        assert again["started_at"] - died["started_at"] >= timedelta(seconds=LEASE)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_time_zones_of_machines_do_not_matter(finished: tuple[Machine, Machine], url: str) -> None:
    trials = trials_at(url)
    now = datetime.now(UTC).replace(tzinfo=None)  # the store keeps UTC
    moments = [row["created_at"] for row in trials] + [trials[-1]["finished_at"], now]
    assert moments == sorted(moments)
    assert now - moments[0] < timedelta(minutes=5)
    assert all(row["created_at"] <= row["started_at"] < row["finished_at"] for row in trials)

    one, other = (machine.run("trials", "pairs", "--json").stdout for machine in finished)
    assert one == other
    assert one.count('"pairs"') == TRIALS
