"""The command `compare`: for people, for programs, and its refusals."""

import json

import pytest
from sqlalchemy import Engine

from tests.support.commands import run_command
from tests.support.measured import SIZES, record_runs


@pytest.fixture
def filled(engine: Engine, store_url: str) -> str:
    """URL of a store with the study `s`, whose subsets have scores."""
    record_runs(engine)
    return store_url


def test_command_prints_the_comparison(filled: str) -> None:
    words = ["compare", "s", "0_1", "0_2", "--store", filled]
    plain, machine = run_command(*words), run_command(*words, "--json")
    assert (plain.returncode, plain.stderr, machine.returncode) == (0, "", 0)

    found = json.loads(machine.stdout)
    assert (found["study"], found["subsets"]) == ("s", ["0_1", "0_2"])
    assert (found["seeds"], found["paired_over"]) == ([3, 1], "queries")
    assert [task["task"] for task in found["tasks"]] == sorted(SIZES)

    assert f"difference {found['difference']:+.4f} +/- {found['error']:.4f}" in plain.stdout
    assert f"{found['low']:+.4f} to {found['high']:+.4f}" in plain.stdout
    assert f"{found['seed_error']:.4f} stems from the seeds" in plain.stdout


def test_bad_words_are_refused_in_one_line(filled: str) -> None:
    unscored = "0_9 has no score in study 's'"
    wrong = {
        f"{unscored}: `layer-search leaderboard s` lists those that have one": ["s", "0_1", "0_9"],
        "'0_x' is not a subset": ["s", "0_1", "0_x"],
        "the store has no study 'nobody'": ["nobody", "0_1", "0_2"],
    }
    for reason, words in wrong.items():
        done = run_command("compare", *words, "--store", filled, "--json")
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_scores_without_queries_and_seeds_are_compared_by_task(launched: str) -> None:
    """The interval is over tasks, and the part of chance in training is said to be unknown."""
    words = ("compare", "card", "0_1_2_18", "0_1_2_21", "--store", launched)
    done = run_command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "95 % interval, bootstrap over tasks: " in done.stdout
    line = "no subset of the same depth has several seeds: what chance in training adds is unknown"
    assert done.stdout.splitlines()[-1] == line
    assert "stems from the seeds" not in done.stdout
