"""Commands that only read: studies, leaderboard, trials, space."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from search.space import LayerSpace, parse_subset
from search.space.families import FAMILIES
from storage.queue import Result, TaskResult
from storage.studies import TaskShare
from tests.support.commands import read_error, read_json, run_command
from tests.support.replays import store_at
from tests.support.stores import begin, finish_trial, new_trial

WHOLE = "0_1_2_3_4_5_6_7_8_9_10_11_18"
"""A long key of the card."""


def read_csv(*words: object) -> list[dict[str, str]]:
    """Return the rows that a command prints with `--csv`."""
    done = run_command(*words, "--csv")
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.slow
def test_studies_say_how_far_each_depth_is(launched: str) -> None:
    rows = read_json(run_command("studies", "--store", launched, "--json"))
    assert [(row["study"], row["depth"]) for row in rows] == [("card", d) for d in (4, 7, 13)]

    counts = [(row["complete"], row["budget"], row["best"]) for row in rows]
    assert counts == [(5, 5, 0.4558), (11, 11, 0.4722), (10, 10, 0.4964)]
    assert {(row["running"], row["waiting"], row["failed"]) for row in rows} == {(0, 0, 0)}


def test_studies_as_a_table(launched: str) -> None:
    done = run_command("studies", "--store", launched)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines() if " card " in line] == [
        "card"
    ] * 3
    assert "0.4964" in done.stdout


def test_the_words_of_studies_are_explained(launched: str) -> None:
    """Every column of the table but the study, its depth and its own words."""
    header = run_command("studies", "--store", launched).stdout.splitlines()[2]
    columns = [word.strip() for word in header.strip("┃").split("┃")]
    said = run_command("studies", "--help").stdout
    assert [word for word in columns[2:] if f"`{word}`" not in said] == []


@pytest.mark.parametrize(
    ("margin", "picked"),
    [(None, "0_1_2_3_4_5_18"), ("0.002", "0_1_2_3_6_8_18"), ("0.0029", "0_1_2_3_4_5_18")],
)
def test_best_names_leader_and_pick(launched: str, margin: str | None, picked: str) -> None:
    words: list[object] = ["best", "card", "--depth", 7, "--store", launched]
    words += [] if margin is None else ["--margin", margin]
    (row,) = read_json(run_command(*words, "--json"))
    assert (row["leader"], row["pick"], row["tied"]) == ("0_1_2_3_6_8_18", picked, 4)
    assert row["margin"] == float(margin or 0.005)
    assert read_csv(*words)[0]["pick"] == picked
    shown = run_command(*words).stdout
    assert f"the simplest of the tied within {row['margin']:g} of the leader" in shown


def test_best_before_there_is_a_score(store: str) -> None:
    with store_at(store, create=True) as engine:
        begin(engine, {4: 1}, "card")
    done = run_command("best", "--store", store)
    assert (done.returncode, done.stdout) == (0, "no trial is complete yet\n")
    wrong = run_command("best", "card", "--depth", 5, "--store", store)
    assert read_error(wrong) == "error: study 'card' has no depth 5: it has 4"


def test_leaderboard_as_json_and_csv(launched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_json(run_command("leaderboard", "card", "--store", launched, "--json"))
    assert Counter(row["depth"] for row in rows) == {4: 5, 7: 11, 13: 10}

    seven = [row for row in rows if row["depth"] == 7]
    assert [row["rank"] for row in seven] == list(range(1, 12))
    assert (seven[0]["subset"], seven[0]["mean"]) == ("0_1_2_3_6_8_18", 0.4722)

    monkeypatch.setenv("LAYER_SEARCH_STORE", launched)
    table = read_csv("leaderboard", "--depth", 7)
    assert [list(row) for row in table] == [list(row) for row in seven]
    for line, row in zip(table, seven, strict=True):
        same = (line["subset"], float(line["mean"]), int(line["rank"]))
        assert same == (row["subset"], row["mean"], row["rank"])


def test_leaderboard_of_the_best_by_task(launched: str) -> None:
    options = ("--depth", 4, "--by-task", "--top", 2, "--json")
    rows = read_json(run_command("leaderboard", "card", *options, "--store", launched))
    assert {(row["rank"], row["subset"]) for row in rows} == {(1, "0_1_2_21"), (2, "0_1_2_18")}
    assert len(rows) == 2 * 13

    scores = {row["task"]: row["score"] for row in rows if row["rank"] == 1}
    assert (scores["NanoArguAna"], scores["NanoTouche2020"]) == (0.3801, 0.4517)


@pytest.mark.parametrize("options", [["--depth", 13, "--top", 1], ["--by-task"]])
def test_tables_for_people_hold_whole_subsets(launched: str, options: Sequence[object]) -> None:
    done = run_command("leaderboard", "card", *options, "--store", launched)
    assert (done.returncode, done.stderr) == (0, "")
    assert WHOLE in done.stdout


def test_table_by_task_shows_eight_subsets_unless_told_otherwise(launched: str) -> None:
    words = ("leaderboard", "card", "--depth", 13, "--by-task", "--store", launched)
    assert "  #8  " in run_command(*words).stdout
    assert "  #9  " not in run_command(*words).stdout
    assert "  #10  " in run_command(*words, "--top", 10).stdout
    assert len(read_csv(*words)) == 10 * 13


def test_leaderboard_by_set(store: str) -> None:
    tasks = {"a": TaskShare("en", 0.5), "b": TaskShare("ja", 0.25), "c": TaskShare("ja", 0.25)}
    with store_at(store, create=True) as engine:
        study = begin(engine, {2: 9}, tasks=tasks)
        scores = {"a": TaskResult(0.5), "b": TaskResult(0.25), "c": TaskResult(0.75)}
        finish_trial(engine, study, new_trial((0, 1)), Result(0.5, scores))

    words = ("leaderboard", "s", "--by-set", "--store", store)
    rows = read_json(run_command(*words, "--json"))
    assert [(r["test_set"], r["mean"], r["tasks"], r["weight"]) for r in rows] == [
        ("en", 0.5, 1, 0.5),
        ("ja", 0.5, 2, 0.5),
    ]
    assert [row["test_set"] for row in read_csv(*words)] == ["en", "ja"]
    assert "mean NDCG@10 by test set and rank" in run_command(*words).stdout


def test_one_view_of_the_leaderboard_at_a_time(launched: str) -> None:
    done = run_command("leaderboard", "--by-task", "--by-set", "--store", launched)
    assert done.returncode == 2
    assert done.stderr == "error: --by-task and --by-set cannot both be shown: choose one\n"


def test_leaderboard_of_one_depth_names_its_best(launched: str) -> None:
    done = run_command("leaderboard", "card", "--depth", 7, "--store", launched)
    best = done.stdout[done.stdout.index("Best per depth") :]
    assert [line.split()[1:5:2] for line in best.splitlines() if " card " in line] == [
        ["card", "7"]
    ]


def test_leaderboard_before_any_result_says_so(store: str) -> None:
    with store_at(store, create=True) as engine:
        begin(engine, {4: 1})

    for words in (["leaderboard"], ["leaderboard", "s"], ["leaderboard", "--by-task"]):
        done = run_command(*words, "--store", store)
        assert (done.returncode, done.stdout) == (0, "no trial is complete yet\n")
    assert read_csv("leaderboard", "--store", store) == []


def test_trials_as_json_and_csv(launched: str) -> None:
    rows = read_json(run_command("trials", "card", "--store", launched, "--json"))
    assert len(rows) == 26
    kinds = {(row["state"], row["origin"], row["token"], row["set_aside"]) for row in rows}
    assert kinds == {("complete", "first", 1, False)}

    table = read_csv("trials", "card", "--depth", 4, "--store", launched)
    assert [row["subset"] for row in table] == [row["subset"] for row in rows if row["depth"] == 4]


def test_attempts_at_trials(launched: str) -> None:
    words = ("trials", "card", "--attempts", "--depth", 4, "--store", launched)
    rows = read_json(run_command(*words, "--json"))
    assert [(row["attempt"], row["outcome"]) for row in rows] == [(1, "complete")] * 5

    shown = run_command(*words).stdout
    assert all(row["subset"] in shown for row in rows)
    host, pid = rows[0]["worker"].split(":")[:2]
    assert f"{host}:{pid} " in shown  # without the parts that only tell processes apart


def test_reading_leaves_the_store_alone(launched: str) -> None:
    path = Path(launched.removeprefix("sqlite:///"))
    before = path.read_bytes()
    for arguments in (["leaderboard"], ["trials", "card"]):
        assert run_command(*arguments, "--store", launched).returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [["leaderboard"], ["trials", "card"]])
def test_two_formats_at_once_are_refused(launched: str, command: Sequence[str]) -> None:
    done = run_command(*command, "--json", "--csv", "--store", launched)
    assert done.returncode == 2
    assert read_error(done).endswith("--json and --csv cannot both be printed: choose one")


@pytest.mark.parametrize("command", ["leaderboard", "trials"])
def test_depth_that_the_study_has_not(launched: str, command: str) -> None:
    done = run_command(command, "card", "--depth", 5, "--store", launched)
    assert done.returncode == 2
    assert "study 'card' has no depth 5: it has 4, 7, 13" in read_error(done)


def test_brackets_in_an_error_are_shown_as_they_are(store: str) -> None:
    reason = "no kernel for [bfloat16] in block [/attn]"
    with store_at(store, create=True) as engine:
        study = begin(engine, {4: 1})
        finish_trial(engine, study, new_trial((0, 1, 2, 3)), Result(None, error=reason))

    done = run_command("trials", "s", "--store", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert reason in done.stdout


@pytest.mark.slow
def test_trial_that_was_set_aside_is_marked(store: str) -> None:
    """For people, a word in front of the reason; for programs, a field of its own."""
    with store_at(store, create=True) as engine:
        study = begin(engine, {2: 2})
        for subset, aside in (((0, 1), True), ((0, 2), False)):
            failed = Result(None, error="it broke", set_aside=aside)
            finish_trial(engine, study, new_trial(subset), failed)

    rows = read_json(run_command("trials", "s", "--store", store, "--json"))
    assert [(row["error"], row["set_aside"]) for row in rows] == [
        ("it broke", True),
        ("it broke", False),
    ]
    table = read_csv("trials", "s", "--store", store)
    assert [(row["error"], row["set_aside"]) for row in table] == [
        ("it broke", "True"),
        ("it broke", "False"),
    ]

    first, second = run_command("trials", "s", "--store", store).stdout.splitlines()[-3:-1]
    assert "set aside: it broke" in first
    assert "set aside" not in second


def test_space_as_json() -> None:
    options = ("--layers", 22, "--depth", 7, "--cadence", "strict", "--samples", 20, "--seed", 3)
    found = read_json(run_command("space", *options, "--json"))
    space = LayerSpace(layers=22, depth=7)
    assert found["count"] == 2478
    assert len(found["samples"]) == 20
    assert all(parse_subset(sample) in space for sample in found["samples"])

    assert list(found["families"]) == list(FAMILIES)
    assert found["families"]["bottom"] == ["0_1_2_3_4_5_6"]
    assert found["missing"] == {}
    assert found["families"]["front"][0] == "0_1_2_3_4_5_21"
    assert read_json(run_command("space", *options, "--json")) == found


def test_space_for_people() -> None:
    options = ("--layers", 12, "--depth", 4, "--cadence", "free", "--period", 0, "--samples", 2)
    rules = ("--no-keep-first", "--pin", 3, "--pin", 5, "--forbid", 0)
    done = run_command("space", *options, *rules)
    assert (done.returncode, done.stderr) == (0, "")

    head, *lines = done.stdout.splitlines()
    assert head == "36 subsets of depth 4 out of 12 layers, free"  # 2 of the 9 layers left
    samples = [parse_subset(line.removeprefix("  sample: ")) for line in lines if "sample" in line]
    assert len(samples) == 2
    assert all({3, 5} < set(sample) and 0 not in sample for sample in samples)
    assert lines[:6] == [
        "  bottom: 0_1_2_3 (outside the space)",
        "  top: 8_9_10_11 (outside the space)",
        "  alternate: 0_3_6_9 (outside the space)",
        "  front: none: layer 0 is forbidden",
        "  back: none: layer 0 is forbidden",
        "  spread: 1_3_5_11",
    ]


def test_space_of_another_phase() -> None:
    options = ("--layers", 24, "--depth", 4, "--period", 6, "--phase", "last", "--samples", 0)
    done = run_command("space", *options, "--cadence", "periodic", "--forbid", 2)
    assert (done.returncode, done.stderr) == (0, "")
    expected = LayerSpace(24, 4, 6, "periodic", forbidden={2}, phase="last")
    head, *lines = done.stdout.splitlines()
    assert head == f"{expected.count} subsets of depth 4 out of 24 layers, periodic"
    assert "  front: none: layer 2 is forbidden" in lines
    assert "  back: 0_21_22_23" in lines

    strict = run_command("space", *options).stdout.splitlines()
    assert strict[1] == "  no layer of a cut model attends globally (see the cadence 'periodic')"
    assert not any("attends globally" in line for line in lines)

    found = read_json(run_command("space", *options, "--forbid", 2, "--json"))
    assert found["count"] == LayerSpace(24, 4, 6, forbidden={2}, phase="last").count
    assert found["missing"] == {"front": "layer 2 is forbidden"}
    assert found["families"]["front"] == []


def test_space_of_an_unknown_phase_is_refused() -> None:
    done = run_command("space", "--layers", 24, "--depth", 4, "--phase", "middle")
    assert done.returncode == 2
    assert "'middle' is not one of 'first', 'last'" in read_error(done)
