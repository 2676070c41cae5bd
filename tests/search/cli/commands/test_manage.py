"""Commands that keep a store: init, replicate, release, outbox, delete."""

import sys
from pathlib import Path

import pytest
import typer
from sqlalchemy import Engine

from storage.database.roles import create_reader
from storage.queue import Outbox, Result, state_folder
from storage.studies import find_study
from tests.support.commands import read_error, read_json, run_command
from tests.support.measured import record_runs
from tests.support.replays import FIRST, progress_of, write_replay
from tests.support.roles import READER, as_reader, drop_readers
from tests.support.stores import Dump, attempts, begin, new_trial, queue_of, trial_rows


@pytest.fixture
def replayed(engine: Engine, store_url: str, tmp_path: Path) -> str:
    """URL of a store in which five subsets of the card were replayed."""
    study = write_replay(tmp_path, "card", {4: 5}, FIRST[:5])
    done = run_command("launch", study, "--store", store_url)
    assert done.returncode == 0, done.stderr
    assert find_study(engine, "card").budgets == {4: 5}
    return store_url


# init


def test_init_makes_an_empty_store(store: str) -> None:
    for _ in range(2):
        done = run_command("init", "--store", store)
        assert (done.returncode, done.stdout) == (0, f"{store} is ready\n")
    assert progress_of(store) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_reader_compares_too(postgres_url: str, engine: Engine) -> None:
    record_runs(engine)
    create_reader(engine, READER)
    try:
        words = ("compare", "s", "0_1", "0_2", "--json", "--store")
        own, theirs = (run_command(*words, url) for url in (postgres_url, as_reader(postgres_url)))
        assert read_json(theirs) == read_json(own)
    finally:
        drop_readers(postgres_url)


# replicate


@pytest.mark.slow
def test_replicate_adds_trials_that_workers_then_run(replayed: str) -> None:
    words = ("replicate", "card", "--depth", "4", "--top", "2", "--seeds", "2")
    done = run_command(*words, "--store", replayed)
    assert done.returncode == 0, done.stderr
    assert "trials added: 2" in done.stdout
    assert "run them with `layer-search work card`" in done.stdout

    assert run_command("work", "card", "--store", replayed).returncode == 0
    rows = read_json(
        run_command("leaderboard", "card", "--depth", "4", "--json", "--store", replayed)
    )
    assert [row["seeds"] for row in rows] == [2, 2, 1, 1, 1]
    assert {row["seed_error"] for row in rows} == {0.0}  # the table has no noise
    assert progress_of(replayed) == [(4, 5, 5, 2)]

    again = run_command(*words, "--store", replayed)
    assert again.returncode == 0
    assert "run them with" not in again.stdout


def test_replicate_of_a_depth_that_the_study_has_not(replayed: str) -> None:
    done = run_command("replicate", "card", "--depth", "5", "--store", replayed)
    assert done.returncode == 2
    assert "study 'card' has no depth 5: it has 4" in read_error(done)


# delete


@pytest.mark.slow
def test_delete_removes_a_study_wholly_and_nothing_else(
    replayed: str, engine: Engine, tmp_path: Path, dump: Dump
) -> None:
    before = dump(engine)
    other = write_replay(tmp_path, "other", {4: 5}, FIRST[:5])
    assert run_command("launch", other, "--store", replayed).returncode == 0
    uid = find_study(engine, "other").uid
    words = ("delete", "other", "--store", replayed)

    refused = run_command(*words)
    assert refused.returncode == 2
    assert refused.stderr == "error: there is nobody to ask: say --yes\n"

    waiting = state_folder() / "outbox" / uid / "1.json"
    waiting.parent.mkdir(parents=True, exist_ok=True)
    waiting.touch()
    done = run_command(*words, "--yes")
    assert (done.returncode, done.stdout) == (0, "deleted other: trials: 5\n"), done.stderr
    assert dump(engine) == before
    assert list(waiting.parent.glob("*")) == []

    unknown = run_command(*words, "--yes")
    assert unknown.returncode == 2
    assert "no study 'other': it holds card" in read_error(unknown)


@pytest.mark.parametrize("agrees", [True, False])
def test_delete_asks_a_person(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, agrees: bool
) -> None:
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return agrees

    study = write_replay(tmp_path, "small", {4: 2}, FIRST[:5])
    assert run_command("launch", study, "--store", store).returncode == 0
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", confirm)
    done = run_command("delete", "small", "--store", store)
    assert done.returncode == 0
    assert asked == ["Delete study 'small' with its 2 trials? This cannot be undone."]
    assert done.stdout == ("deleted small: trials: 2\n" if agrees else "nothing was deleted\n")
    assert progress_of(store) == ([] if agrees else [(4, 2, 2, 0)])


def test_delete_of_a_study_that_is_worked_on_needs_force(engine: Engine, store_url: str) -> None:
    study = begin(engine, {2: 9})
    for number, name in enumerate("ab", 1):
        queue_of(engine, study, name).claim(new_trial((0, number)))

    refused = run_command("delete", "s", "--yes", "--store", store_url)
    assert refused.returncode == 1
    assert "workers hold trials of 's': 2; stop them first, or --force" in read_error(refused)

    done = run_command("delete", "s", "--yes", "--force", "--store", store_url)
    assert (done.returncode, done.stdout) == (0, "deleted s: trials: 2\n")


# release


def test_release_gives_the_trials_of_one_host_back(engine: Engine, store_url: str) -> None:
    study = begin(engine, {2: 9})
    for number, host in enumerate(("gpu-7", "gpu-7", "gpu-8"), 1):
        queue_of(engine, study, host).claim(new_trial((0, number)))

    unknown = run_command("release", "gpu-9", "--store", store_url)
    assert unknown.returncode == 2
    line = "error: no worker of 'gpu-9' holds a trial: trials are held by gpu-7, gpu-8"
    assert read_error(unknown) == line
    refused = run_command("delete", "s", "--yes", "--store", store_url)
    assert refused.returncode == 1
    assert "workers hold trials of 's'" in refused.stderr

    done = run_command("release", "gpu-7", "--store", store_url)
    assert (done.returncode, done.stdout) == (0, "trials given back: 2\n")
    rows = trial_rows(engine)
    assert [row["state"] for row in rows] == ["waiting", "waiting", "running"]
    assert {row["crashes"] for row in rows} == {0}  # the trial is not to blame
    ends = [outcome for _, _, outcome, _ in attempts(engine)]
    assert ends == ["released", "released", "running"]


def test_release_of_one_study_leaves_the_rest(engine: Engine, store_url: str) -> None:
    for name in ("s", "t"):
        queue_of(engine, begin(engine, {2: 9}, name), "gpu-7").claim(new_trial((0, 1)))

    done = run_command("release", "gpu-7", "--study", "t", "--store", store_url)
    assert (done.returncode, done.stdout) == (0, "trials given back: 1\n")
    states = [trial_rows(engine, name)[0]["state"] for name in ("s", "t")]
    assert states == ["running", "waiting"]


# outbox


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_results_that_this_machine_keeps_are_listed_and_cleaned(
    engine: Engine, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path / "state"))
    assert run_command("outbox", "--store", store_url).stdout == "this machine keeps no results\n"

    study = begin(engine, {2: 3})
    held = queue_of(engine, study).claim(new_trial((0, 1)))
    path = Outbox(study.uid, study.id).keep(held, Result(0.5))
    assert path is not None
    done = run_command("outbox", "--clean", "--yes", "--store", store_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.exists()

    gone = Outbox("0" * 32, 7).keep(held, Result(0.5))
    assert gone is not None
    (one, other) = read_json(run_command("outbox", "--json", "--store", store_url))
    assert (one["study"], one["state"], one["path"]) == ("s", "waiting", str(path))
    assert (other["study"], other["path"]) == (None, str(gone))

    refused = run_command("outbox", "--clean", "--store", store_url)
    assert (refused.returncode, gone.exists()) == (2, True)
    assert "there is nobody to ask: say --yes" in refused.stderr
    assert "not in the store" in refused.stdout

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(typer, "confirm", refuse)
    kept = run_command("outbox", "--clean", "--store", store_url)
    assert (kept.returncode, kept.stderr, gone.exists()) == (0, "nothing was removed\n", True)
    begun = f"Remove 1 files, 1 of them of studies that {store_url} does not have?"
    assert asked == [f"{begun} This cannot be undone."]

    done = run_command("outbox", "--clean", "--yes", "--store", store_url)
    assert (done.returncode, done.stderr) == (0, "removed: 1\n")
    assert (path.exists(), gone.exists()) == (True, False)
