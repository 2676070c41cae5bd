"""Commands that keep a store, on the real command line, and several workers on one machine."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from storage import attempts, claims, leaderboard, outbox, setup, studies
from storage import engine as engines
from storage.owner import this_worker
from storage.results import Result
from storage.status import status

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]


@pytest.fixture
def replayed(store_url: str, card_study: Path, cli: Cli) -> str:
    """URL of a store in which the card was replayed."""
    run = cli("launch", card_study, "--workers", "2", "--store", store_url)
    assert run.returncode == 0, run.stderr
    assert "[0] " in run.stderr
    assert "[1] " in run.stderr
    assert run.stdout.count("mean NDCG@10") == 4  # printed once, not by each worker
    return store_url


def test_workers_share_the_end_of_a_study(replayed: str) -> None:
    engine = setup.open_store(replayed)
    rows = leaderboard.trials(engine, "card")
    assert len({row["subset"] for row in rows}) == len(rows) == 27
    assert {row["outcome"] for row in leaderboard.attempts(engine, "card")} == {"complete"}
    engine.dispose()


def test_workers_share_a_study(store_url: str, card_study: Path, cli: Cli) -> None:
    text = card_study.read_text(encoding="utf-8")
    # longer than the one may start after the other
    slow = text.replace("layers = 22", "layers = 22\nseconds = 8").replace("4 = 5", "4 = 2")
    card_study.write_text(slow, encoding="utf-8")
    run = cli("launch", card_study, "--depth", "4", "--workers", "2", "--store", store_url)
    assert run.returncode == 0, run.stderr
    engine = setup.open_store(store_url)
    rows = leaderboard.trials(engine, "card")
    assert len(rows) == 2
    assert len({row["owner"] for row in rows}) == 2
    engine.dispose()


def test_replicate_adds_what_workers_then_run(replayed: str, cli: Cli) -> None:
    words = ("replicate", "card", "--depth", "4", "--top", "2", "--seeds", "2")
    run = cli(*words, "--store", replayed)
    assert run.returncode == 0, run.stderr
    assert "trials added: 2" in run.stdout
    assert cli("work", "card", "--store", replayed).returncode == 0
    rows = json.loads(
        cli("leaderboard", "card", "--depth", "4", "--json", "--store", replayed).stdout
    )
    assert [row["seeds"] for row in rows] == [2, 2, 1, 1, 1]
    assert {row["seed_error"] for row in rows} == {0.0}  # the table has no noise
    (row,) = [
        r
        for r in json.loads(cli("studies", "--json", "--store", replayed).stdout)
        if r["depth"] == 4
    ]
    assert (row["complete"], row["beyond"], row["budget"]) == (5, 2, 5)


def test_delete_removes_a_study_wholly_and_nothing_else(
    replayed: str, card_study: Path, cli: Cli, dump: Dump
) -> None:
    engine = setup.open_store(replayed)
    other = card_study.with_name("other.toml")
    text = card_study.read_text(encoding="utf-8").replace('name = "card"', 'name = "other"')
    before = dump(engine)
    other.write_text(text, encoding="utf-8")
    assert cli("launch", other, "--depth", "4", "--store", replayed).returncode == 0
    uid = studies.find(engine, "other").uid
    refused = cli("delete", "other", "--store", replayed)
    assert refused.returncode == 2
    assert refused.stderr == "error: there is nobody to ask: say --yes\n"
    run = cli("delete", "other", "--yes", "--store", replayed)
    assert (run.returncode, run.stdout) == (0, "deleted other: trials: 5\n"), run.stderr
    assert dump(engine) == before
    assert list((outbox.state_folder() / "outbox" / uid).glob("*")) == []
    unknown = cli("delete", "other", "--yes", "--store", replayed)
    assert unknown.returncode == 2
    assert "no study 'other': it holds card" in unknown.stderr
    engine.dispose()


def begin(engine: Engine) -> studies.StudyRecord:
    """An empty study."""
    return studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="h", base="toy",
        layers=22, period=3, fingerprints={}, versions={}, budgets={2: 9},
    )  # fmt: skip


def test_release_gives_the_trials_of_one_host_back(
    engine: Engine, store_url: str, cli: Cli
) -> None:
    study = begin(engine)
    for subset, owner in (
        ("0_1", "gpu-7:1:1:b:n"),
        ("0_2", "gpu-7:2:1:b:n"),
        ("0_3", "gpu-8:1:1:b:n"),
    ):
        claims.claim(engine, study.id, 2, subset=subset, seed=0, origin="swap", owner=owner)
    unknown = cli("release", "gpu-9", "--store", store_url)
    assert unknown.returncode == 2
    assert unknown.stderr == (
        "error: no worker of 'gpu-9' holds a trial: trials are held by gpu-7, gpu-8\n"
    )
    refused = cli("delete", "s", "--yes", "--store", store_url)
    assert refused.returncode == 1
    assert "workers hold trials of 's': 3" in refused.stderr
    run = cli("release", "gpu-7", "--store", store_url)
    assert (run.returncode, run.stdout) == (0, "trials given back: 2\n")
    rows = {row["subset"]: row for row in leaderboard.trials(engine, "s")}
    assert [rows[key]["state"] for key in ("0_1", "0_2", "0_3")] == [
        "waiting",
        "waiting",
        "running",
    ]
    assert {row["crashes"] for row in rows.values()} == {0}  # the trial is not to blame
    ends = {row["subset"]: row["outcome"] for row in leaderboard.attempts(engine, "s")}
    assert ends == {"0_1": "released", "0_2": "released", "0_3": "running"}


def test_status_counts_live_workers_pace_and_what_was_set_aside(engine: Engine) -> None:
    from storage import results

    study = begin(engine)

    def take(subset: str, owner: str, origin: str = "swap", lease: float = 60) -> claims.Claim:
        return claims.claim(
            engine, study.id, 2, subset=subset, seed=0, origin=origin, owner=owner, lease=lease
        )

    assert results.finish(engine, take("0_1", "a"), Result(0.5))
    assert results.finish(engine, take("0_2", "a"), Result(None, error="set aside: it broke"))
    assert results.finish(engine, take("0_3", "a"), Result(None, error="NaN"))
    take("0_4", "a")
    take("0_5", "b")
    take("0_6", "c", lease=-1)  # its lease has run out
    take("0_7", "b", origin="manual")
    (row,) = status(engine, "s")
    assert (row.complete, row.failed, row.set_aside, row.running, row.beyond) == (1, 2, 1, 3, 1)
    assert (row.workers, row.best) == (2, 0.5)
    assert row.per_hour is not None
    assert row.per_hour > 3
    assert row.hours_left == pytest.approx((9 - 3) / row.per_hour)


def test_reader_may_read_and_change_nothing(postgres_url: str, card_study: Path, cli: Cli) -> None:
    assert cli("launch", card_study, "--depth", "4", "--store", postgres_url).returncode == 0
    for password in ('it\'s "a\\b" $1 é', "another"):
        run = cli(
            "init", "--reader", "looker", "--store", postgres_url,
            LAYER_SEARCH_READER_PASSWORD=password,
        )  # fmt: skip
        assert (run.returncode, run.stderr) == (0, ""), run.stderr
        assert password not in run.stdout
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'looker'")
        assert (row.fetchone() or [""])[0].startswith("SCRAM-SHA-256$")
    looker = make_url(postgres_url).set(username="looker").render_as_string()
    for words in (
        "leaderboard", "studies", "trials card", "trials card --attempts",
        "compare card 0_1_2_18 0_1_2_21",
    ):  # fmt: skip
        run = cli(*words.split(), "--store", looker)
        assert run.returncode == 0, run.stderr
    with psycopg.connect(looker, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "UPDATE search_studies SET name = 'x'",
            "DELETE FROM trials",
            "DROP VIEW leaderboard",
            "CREATE TABLE mine (number integer)",
            "CREATE ROLE another",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pg_reader", "cannot be a role"),
        ("a b", "cannot be a role"),
        ("postgres", "owns the store"),
    ],
)
def test_reader_with_an_impossible_name_is_refused(
    postgres_url: str, cli: Cli, name: str, said: str
) -> None:
    run = cli("init", "--reader", name, "--store", postgres_url)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_sqlite_has_no_readers(tmp_path: Path, cli: Cli) -> None:
    run = cli("init", "--reader", "looker", "--store", f"sqlite:///{tmp_path}/store.db")
    assert run.returncode == 2
    assert "an SQLite store has no roles" in run.stderr


def test_ctrl_c_reaches_every_worker_once(tmp_path: Path, card_study: Path) -> None:
    slow = card_study.read_text(encoding="utf-8") + "seconds = 20\n"
    card_study.write_text(slow, encoding="utf-8")
    command = Path(sys.executable).with_name("layer-search")
    store = tmp_path / "store.db"
    words = [command, "launch", card_study, "--workers=3", f"--store=sqlite:///{store}"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as fleet:
        for _ in range(300):
            time.sleep(0.1)
            if store.exists() and held(store) == ["running"] * 3:
                break
        fleet.send_signal(signal.SIGINT)
        _, said = fleet.communicate(timeout=30)
    assert fleet.returncode == 130
    assert said.rstrip().endswith("error: interrupted")
    assert held(store) == ["waiting"] * 3


def held(store: Path) -> list[str]:
    """State of each trial."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT state FROM search_trials")]
        except sqlite3.OperationalError:
            return []


def test_attempts_end_once(engine: Engine) -> None:
    study = begin(engine)
    owner = this_worker()
    held_trial = claims.claim(engine, study.id, 2, subset="0_1", seed=0, origin="swap", owner=owner)
    with engines.write(engine) as connection:
        attempts.end(connection, held_trial.trial_id, "broke", "why")
        attempts.end(connection, held_trial.trial_id, "died", "later")
    (row,) = leaderboard.attempts(engine, "s")
    assert (row["outcome"], row["reason"], row["worker"]) == ("broke", "why", owner)
