"""Two machines that share nothing but a store, as far as their commands can tell."""

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Engine

from storage import setup

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("layer-search")
LEASE = 3.0
TRIALS = 6
Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]
# a host name of its own, which only root may give, in a namespace that not every kernel allows
RENAMED = """
import os, socket, sys
socket.sethostname(sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def can_rename() -> bool:
    """Whether a process can be given a host name of its own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "--uts", sys.executable, "-c", RENAMED, "elsewhere", "/bin/true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Machine:
    """A machine: folder, home, time zone and, where the kernel allows it, host name of its own."""

    def __init__(self, folder: Path, name: str, zone: str, url: str) -> None:
        self.folder = folder / name
        self.name = name
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

    def start(self, *words: object) -> "subprocess.Popen[str]":
        """The command, started in a folder that has nothing to do with the study."""
        return subprocess.Popen(
            [*self._prefix, COMMAND, *map(str, words)],
            cwd=self.folder / "anywhere",
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: object) -> "subprocess.CompletedProcess[str]":
        """The command, when it has ended."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """URL of a database on a TCP port, the same for both machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        server = importlib.import_module("_server").Server({"fsync": "off"})
    with server:
        yield server.url


def prepare(folder: Path, url: str, study: str) -> tuple[Machine, Machine]:
    """A machine with a study and its table, and one with its own copy of the table."""
    one = Machine(folder, "one", "Pacific/Auckland", url)
    other = Machine(folder, "other", "America/Los_Angeles", url)
    rows = [(f"{low}_{high}", (low + high) / 20) for high in range(8) for low in range(high)]
    for machine in (one, other):
        with machine.table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("subset", "mean"), *rows])
    (one.folder / "data" / f"{study}.toml").write_text(
        f"""
[study]
name = "{study}"
depths = [2]
trials = {TRIALS}

[space]
cadence = "free"
keep_first = false

[evaluator]
name = "table"
path = "table.csv"
layers = 8
seconds = 0.5
""",
        encoding="utf-8",
    )
    return one, other


def query(url: str, text: str) -> list[dict[str, Any]]:
    """What the store answers; nothing before it exists."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        try:
            return connection.execute(text.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def rows_of(url: str, study: str) -> list[dict[str, Any]]:
    """The trials of a study, oldest first."""
    every = "SELECT t.* FROM search_trials t JOIN search_studies s ON s.id = t.study_id"
    return query(url, f"{every} WHERE s.name = '{study}' ORDER BY t.id")


def begin(machine: Machine, url: str, study: str) -> "subprocess.Popen[str]":
    """Launch the study, and come back when its third trial has just begun."""
    launched = machine.start("launch", machine.folder / "data" / f"{study}.toml")
    for _ in range(1200):
        states = [row["state"] for row in rows_of(url, study)]
        if states == ["complete", "complete", "running"]:
            return launched
        assert launched.poll() is None, launched.communicate()
        time.sleep(0.05)
    pytest.fail("the study did not come to its third trial")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, url: str) -> tuple[Machine, Machine]:
    """Both, after one was killed with a study on it and the other has finished the study."""
    one, other = prepare(tmp_path_factory.mktemp("machines"), url, "pairs")
    with begin(one, url, "pairs") as launched:
        launched.kill()
    done = other.run("work", "pairs", "--folder", other.table.parent)
    assert done.returncode == 0, done.stderr
    return one, other


@pytest.mark.usefixtures("finished")
def test_other_machine_finishes_what_a_dead_one_began(url: str) -> None:
    trials = rows_of(url, "pairs")
    assert [row["state"] for row in trials] == ["complete"] * TRIALS
    assert len({row["subset"] for row in trials}) == TRIALS
    assert [row["mean"] for row in trials] == [
        sum(map(int, row["subset"].split("_"))) / 20 for row in trials
    ]
    attempts = query(
        url,
        "SELECT a.* FROM search_attempts a JOIN search_trials t ON t.id = a.trial_id"
        " JOIN search_studies s ON s.id = t.study_id WHERE s.name = 'pairs'"
        " ORDER BY a.trial_id, a.token",
    )
    outcomes = ["complete", "complete", "died", *["complete"] * (TRIALS - 2)]
    assert [row["outcome"] for row in attempts] == outcomes
    died, again = attempts[2:4]
    assert died["trial_id"] == again["trial_id"]
    if can_rename():  # otherwise the death is seen at once, for both are on one host
        hosts = [row["owner"].split(":")[0] for row in attempts]
        assert hosts == ["one"] * 3 + ["other"] * (TRIALS - 2)
        assert again["started_at"] - died["started_at"] >= timedelta(seconds=LEASE)


def test_time_zones_of_machines_do_not_matter(finished: tuple[Machine, Machine], url: str) -> None:
    trials = rows_of(url, "pairs")
    now = datetime.now(UTC).replace(tzinfo=None)  # the store keeps UTC
    moments = [row["created_at"] for row in trials] + [trials[-1]["finished_at"], now]
    assert moments == sorted(moments)
    assert now - moments[0] < timedelta(minutes=5)
    assert all(row["created_at"] <= row["started_at"] < row["finished_at"] for row in trials)
    one, other = (machine.run("trials", "pairs", "--json").stdout for machine in finished)
    assert one == other


def test_other_data_on_the_other_machine_is_refused_until_accepted(
    tmp_path: Path, url: str, dump: Dump
) -> None:
    one, other = prepare(tmp_path, url, "drift")
    with begin(one, url, "drift") as launched:
        launched.terminate()
        assert launched.wait(60) == 130
    text = other.table.read_text(encoding="utf-8")
    other.table.write_text(text.replace("0_1,0.05", "0_1,0.06"), encoding="utf-8")
    assert other.table.read_text(encoding="utf-8") != text
    join = ("work", "drift", "--folder", other.table.parent)

    engine = setup.open_store(url)
    before = dump(engine)
    refused = other.run(*join)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.strip().splitlines()
    assert line.startswith("error: study 'drift' ")
    assert "table" in line
    assert "--accept-drift" in line
    assert dump(engine) == before
    engine.dispose()

    accepted = other.run(*join, "--accept-drift")
    assert accepted.returncode == 0, accepted.stderr
    listed = json.loads(other.run("trials", "drift", "--json").stdout)
    drifts = [row["drift"] for row in listed]
    assert drifts[:2] == [None, None]
    assert len(drifts) == TRIALS
    assert all("table" in drift for drift in drifts[2:])
