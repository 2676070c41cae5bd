"""The command that puts the depths of a study side by side."""

import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import Engine

from search.cli.commands import run
from storage.queue import Result
from storage.states import Origin
from tests.support.commands import read_error, read_json, run_command
from tests.support.replays import FIRST, write_replay
from tests.support.stores import begin, finish_trial, new_trial
from tests.support.study_files import write_file

STORE = "sqlite:///store.db"
NO_ROW = "no reference, as there can be no score of the whole base"


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in which five subsets of the card and the whole base were replayed."""
    folder = tmp_path_factory.mktemp("depths")
    study = write_replay(folder, "card", {4: 5}, FIRST[:5], reference=True)
    done = run_command("launch", study, "--store", STORE, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "whole base" in done.stdout
    assert "(reference)" in done.stderr
    return folder


def test_depths_as_json_and_csv(launched: Path) -> None:
    rows = read_json(run_command("depths", "card", "--store", STORE, "--json", cwd=launched))
    assert [(row["depth"], row["reference"], row["mean"]) for row in rows] == [
        (22, 1, 0.5151),
        (4, 0, 0.4558),
    ]
    assert [row["answer"] for row in rows] == [None, "0_1_2_21"]
    assert rows[1]["retained"] == pytest.approx(0.4558 / 0.5151)
    assert rows[1]["retained_low"] < rows[1]["retained"] < rows[1]["retained_high"] < 1
    assert [row["pareto_optimal"] for row in rows] == [1, 1]

    done = run_command("depths", "card", "--store", STORE, "--csv", cwd=launched)
    printed = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["leader"] for row in printed] == [row["leader"] for row in rows]
    assert list(printed[0]) == list(rows[0])


def test_depths_as_a_table(launched: Path) -> None:
    done = run_command("depths", "card", "--store", STORE, cwd=launched)
    title, *table = done.stdout.splitlines()
    assert title.startswith("card: score and cost of each depth (* Pareto-optimal: ")
    assert "at most its layers)" in title
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table if "│" in line]
    assert cells[0] == ["22*", "whole base", "0.5151", "1.000", "", "", ""]
    assert cells[1][:4] == ["4*", "0_1_2_21", "0.4558", "0.885"]


def test_answers_and_replicates_leave_the_reference_out(launched: Path) -> None:
    answers = read_json(run_command("answer", "card", "--store", STORE, "--json", cwd=launched))
    assert [row["depth"] for row in answers] == [4]
    done = run_command(
        "replicate", "card", "--store", STORE, "--top", 1, "--seeds", 2, cwd=launched
    )
    assert "card/L22" not in done.stdout


def test_a_table_has_no_model_to_measure(launched: Path) -> None:
    done = run_command("depths", "card", "--store", STORE, "--measure", cwd=launched)
    message = "error: study 'card' uses the evaluator 'table', which has no model to measure"
    assert (done.returncode, read_error(done)) == (2, message)


def test_one_format_at_a_time(launched: Path) -> None:
    done = run_command("depths", "card", "--store", STORE, "--json", "--csv", cwd=launched)
    assert done.returncode == 2


def test_a_table_without_the_whole_base_has_no_reference(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("subset,mean\n0_1,0.4\n0_2,0.5\n", encoding="utf-8")
    study = write_file(
        tmp_path,
        """
[study]
name = "small"
depths = [2]
trials = 2
first = ["0_1", "0_2"]

[space]
cadence = "free"

[evaluator]
name = "table"
path = "scores.csv"
layers = 3
""",
    )
    done = run_command("launch", study, "--store", STORE, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(NO_ROW)) == (0, 1)

    rows = read_json(run_command("depths", "small", "--store", STORE, "--json", cwd=tmp_path))
    assert [(row["depth"], row["retained"]) for row in rows] == [(2, None)]


def test_a_study_that_is_not_there(launched: Path) -> None:
    done = run_command("depths", "other", "--store", STORE, cwd=launched)
    assert (done.returncode, "it holds card" in read_error(done)) == (2, True)


def test_a_failed_reference_is_said(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    study = begin(engine, {2: 9, 4: 0}, layers=4)
    failed = Result(None, error="it does not fit")
    finish_trial(engine, study, new_trial((0, 1, 2, 3), origin=Origin.REFERENCE), failed)
    run._summarise("s", [2], engine)
    assert "s: the reference has no score: it does not fit\n" in capsys.readouterr().err
