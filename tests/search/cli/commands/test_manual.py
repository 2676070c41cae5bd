"""The command `evaluate`: subsets and families of one's choice, one load, one table."""

from pathlib import Path

import pytest

import search.cli.commands.manual
from search.cli.progress import load_evaluator
from storage.studies import find_study
from tests.support.commands import read_error, run_command
from tests.support.replays import FIRST, progress_of, store_at, trials_of
from tests.support.stores import new_trial, queue_of

pytestmark = pytest.mark.slow


def test_evaluate_is_recorded_outside_the_budget_and_once(small: Path, store: str) -> None:
    words = ("evaluate", small, "--subset", "0_1_2_3", "--store", store)
    done = run_command(*words)
    assert done.returncode == 0
    assert "0_1_2_3" in done.stdout
    assert "0.3329" in done.stdout

    again = run_command(*words)
    assert again.returncode == 0
    assert "0_1_2_3 was evaluated before" in again.stdout
    assert run_command(*words, "--seed", 5).returncode == 0

    assert run_command("launch", small, "--store", store).returncode == 0
    names = ("subset", "seed", "origin", "state")
    found = [tuple(row[name] for name in names) for row in trials_of(store, "small")]
    assert found == [
        ("0_1_2_3", 0, "manual", "complete"),
        ("0_1_2_3", 5, "manual", "complete"),
        ("0_1_2_18", 0, "first", "complete"),
        ("0_1_2_21", 0, "first", "complete"),
        ("0_19_20_21", 0, "first", "complete"),
        (FIRST[5], 0, "first", "complete"),
    ]


def test_evaluate_of_a_depth_that_the_study_does_not_search(small: Path, store: str) -> None:
    words = ("evaluate", small, "--subset", "0_1_2_3_6_8_18", "--store", store)
    done = run_command(*words)
    assert done.returncode == 0
    assert "depth 7 is not among the study's: recorded beside them" in done.stderr

    assert run_command("launch", small, "--store", store).returncode == 0
    assert progress_of(store) == [(4, 3, 3, 0), (7, 0, 0, 1), (22, 1, 1, 0)]


def test_evaluate_without_a_score_fails_and_can_be_tried_again(small: Path, store: str) -> None:
    words = ("evaluate", small, "--subset", "0_1_2_9", "--store", store)
    for _ in range(2):
        done = run_command(*words)
        assert done.returncode == 1
        line = "error: 0_1_2_9 has no score: the table has no row for 0_1_2_9"
        assert done.stderr.splitlines()[-1] == line
        assert "Traceback" not in done.stderr

    (row,) = trials_of(store, "small")
    assert (row["state"], row["token"], row["origin"]) == ("failed", 2, "manual")


def test_evaluate_with_a_changed_study_file_is_refused_before_data_is_read(
    small: Path, store: str
) -> None:
    assert run_command("launch", small, "--store", store).returncode == 0
    text = small.read_text(encoding="utf-8")
    small.write_text(text.replace("layers = 22", "layers = 21"), encoding="utf-8")
    (small.parent / "card.csv").unlink()

    done = run_command("evaluate", small, "--subset", "0_1_2_3", "--store", store)
    assert done.returncode == 2
    assert "evaluator.layers (stored: 22, in the file: 21)" in read_error(done)


# several


def test_several_are_evaluated_after_one_load(
    small: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def load(*words: object, **more: object) -> object:
        loads.append(words)
        return load_evaluator(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(search.cli.commands.manual, "load_evaluator", load)
    words = ("evaluate", small, "0_1_2_3", "0_1_2_3_6_8_18", "--store", store)
    done = run_command(*words, "--subset", "0_1_2_18", "--subset", "0_1_2_3")
    assert done.returncode == 0, done.stderr
    assert len(loads) == 1
    said = [line for line in done.stderr.splitlines() if " of 3: " in line]
    assert said == ["1 of 3: 0_1_2_3", "2 of 3: 0_1_2_3_6_8_18", "3 of 3: 0_1_2_18"]

    titles = [line.rstrip() for line in done.stdout.splitlines() if "mean NDCG@10" in line]
    assert titles == ["small, depth 4: mean NDCG@10", "small, depth 7: mean NDCG@10"]
    assert {row["subset"] for row in trials_of(store, "small")} == {
        "0_1_2_3",
        "0_1_2_3_6_8_18",
        "0_1_2_18",
    }


def test_one_that_fails_does_not_stop_the_next(small: Path, store: str) -> None:
    words = ("evaluate", small, "0_1_2_9", "0_1_2_3", "0_1_2_8", "--store", store)
    done = run_command(*words)
    assert done.returncode == 1
    assert "0_1_2_9  failed: the table has no row for 0_1_2_9" in done.stderr.splitlines()
    last = "error: no score for 2 of 3 subsets: 0_1_2_9, 0_1_2_8"
    assert done.stderr.splitlines()[-1] == last
    assert "0.3329" in done.stdout  # of the one between
    states = [(row["subset"], row["state"]) for row in trials_of(store, "small")]
    assert states == [("0_1_2_9", "failed"), ("0_1_2_3", "complete"), ("0_1_2_8", "failed")]


def test_one_that_another_worker_runs_does_not_stop_the_next(small: Path, store: str) -> None:
    assert run_command("launch", small, "--depth", 22, "--store", store).returncode == 0
    with store_at(store) as engine:
        study = find_study(engine, "small")
        queue_of(engine, study, "elsewhere").claim(new_trial((0, 1, 2, 3)))

    done = run_command("evaluate", small, "0_1_2_3", "0_1_2_18", "--store", store)
    assert done.returncode == 1
    assert "another worker is running 0_1_2_3 with seed 0: wait for it to finish" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: no score for 1 of 2 subsets: 0_1_2_3"
    assert "0.4530" in done.stdout


def test_one_that_was_evaluated_before_is_said_and_shown(small: Path, store: str) -> None:
    words = ("evaluate", small, "0_1_2_3", "--store", store)
    assert run_command(*words).returncode == 0
    done = run_command(*words, "0_1_2_18")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "0_1_2_3 was evaluated before"
    assert {"0.3329", "0.4530"} <= set(done.stdout.split())
    assert len(trials_of(store, "small")) == 2


# families


def test_families_are_of_the_depths_of_the_study_or_of_those_named(small: Path, store: str) -> None:
    done = run_command("evaluate", small, "back", "--depth", 4, "--store", store)
    assert done.returncode == 0, done.stderr
    assert [row["subset"] for row in trials_of(store, "small")] == ["0_19_20_21"]

    assert run_command("evaluate", small, "back", "--store", store).returncode == 0
    depths = [row["depth"] for row in trials_of(store, "small")]
    assert depths == [4, 22]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "error: name at least one subset, such as 0_1_2_18, or family: "),
        (["fornt"], "error: "),
        (["0_1_2_3", "3_2"], "error: "),
        (["0_1_2_22"], "error: layer 22 does not exist: "),
        (["0_1_2_3", "--depth", 4], "error: --depth is the depth of families, and none is named"),
        (["back", "--depth", 23], "error: study 'small', [space] at depth 23: depth 23 is impo"),
    ],
)
def test_bad_words_are_refused_before_anything_is_written(
    small: Path, store: str, words: list[object], line: str
) -> None:
    before = sorted(small.parent.iterdir())
    done = run_command("evaluate", small, *words, "--store", store)
    assert done.returncode == 2
    assert read_error(done).startswith(line)
    assert sorted(small.parent.iterdir()) == before
