"""Tables for people: whole keys, text as it is, numbers flush right, marks on special rows."""

from datetime import UTC, datetime

import pytest

from search.analysis.answer import Answer
from search.cli.finding_tables import print_answers, print_fits, print_screened
from search.cli.tables import (
    format_error,
    format_score,
    print_attempts,
    print_best,
    print_ranking,
    print_set_ranking,
    print_statuses,
    print_table,
    print_task_ranking,
    print_trials,
)
from storage.leaderboard import DepthStatus, Row
from storage.screens import FitRecord, ScreenedSubset

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture) -> tuple[str, list[str], list[list[str]]]:
    """Return title, header and cells of the one table that was printed."""
    title, _, header, _, *rows, _ = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows]
    return title.strip(), [name.strip() for name in header.strip("┃ ").split("┃")], cells


def test_numbers_are_set_flush_right_and_words_left(capsys: Capture) -> None:
    rows = [(1.5, "a"), ("+20.25", "0_1"), (None, None)]
    print_table("Of [all]", ("number", "text"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == "Of [all]"
    assert [line[1:18] for line in lines[4:7]] == [
        "    1.5 │ a    │",
        " +20.25 │ 0_1  │",
        "        │      │",
    ]


def test_long_cells_are_folded_and_never_cut(capsys: Capture) -> None:
    print_table("T", ("a", "b"), [("x" * 300, "y" * 300)])
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert (shown.count("x"), shown.count("y")) == (300, 300)


def test_times_are_shown_to_the_second(capsys: Capture) -> None:
    print_table("T", ("when",), [(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),)])
    assert printed(capsys) == ("T", ["when"], [["2026-01-02 03:04:05"]])


def test_statuses(capsys: Capture) -> None:
    row = DepthStatus(
        study="s",
        depth=4,
        base="toy",
        began=datetime(2026, 1, 2, tzinfo=UTC),
        complete=3,
        budget=9,
        running=2,
        waiting=1,
        failed=1,
        set_aside=1,
        beyond=0,
        best=0.5,
        workers=2,
        per_hour=12.34,
        hours_left=None,
    )
    print_statuses([row])

    title, header, (cells,) = printed(capsys)
    assert title == "Studies"
    assert dict(zip(header, cells, strict=True)) == {
        "study": "s",
        "depth": "4",
        "complete": "3",
        "budget": "9",
        "running": "2",
        "waiting": "1",
        "failed": "1",
        "set aside": "1",
        "beyond": "0",
        "best": "0.5000",
        "workers": "2",
        "per hour": "12.3",
        "hours left": "",
    }


def ranked(rank: int, subset: str, **changed: object) -> Row:
    """Return a row of the leaderboard, with some fields changed."""
    row = {
        "study": "s",
        "depth": 2,
        "rank": rank,
        "subset": subset,
        "mean": 0.5,
        "standard_error": 0.01,
        "difference": -0.02,
        "difference_error": 0.005,
        "tied": 1,
        "seeds": 1,
        "origin": "gp",
    }
    return row | changed


def test_ranking(capsys: Capture) -> None:
    leader = {"difference": 0.0, "difference_error": 0.0}
    unknown = {"standard_error": None, "difference_error": None}
    print_ranking(
        [
            ranked(1, "0_1", **leader),
            ranked(2, "0_2", tied=0),
            ranked(3, "0_3", tied=None, **unknown),
        ]
    )

    title, header, cells = printed(capsys)
    assert title == "s, depth 2: mean NDCG@10"
    assert "seeds" not in header
    assert cells == [
        ["1", "0_1", "0.5000", "0.0100", "", "", "tied", "gp"],
        ["2", "0_2", "0.5000", "0.0100", "-0.0200", "0.0050", "", "gp"],
        ["3", "0_3", "0.5000", "", "-0.0200", "", "?", "gp"],
    ]


def test_ranking_of_the_best_says_of_how_many(capsys: Capture) -> None:
    print_ranking([ranked(1, "0_1", seeds=3), ranked(2, "0_2"), ranked(2, "0_3")], top=1)
    title, header, cells = printed(capsys)
    assert title == "s, depth 2: mean NDCG@10, 1 of 3 subsets"
    assert header[-2:] == ["seeds", "origin"]
    assert [row[-2] for row in cells] == ["3"]


def test_each_study_and_depth_has_a_table_of_its_own(capsys: Capture) -> None:
    print_ranking([ranked(1, "0_1"), ranked(1, "0_1_2", depth=3), ranked(1, "0_1", study="t")])
    titles = [line.rstrip() for line in capsys.readouterr().out.splitlines() if "NDCG" in line]
    assert titles == [
        "s, depth 2: mean NDCG@10",
        "s, depth 3: mean NDCG@10",
        "t, depth 2: mean NDCG@10",
    ]


def test_scores_by_task_stand_in_a_column_for_each_rank(capsys: Capture) -> None:
    scores = {("0_1", "nq"): 0.5, ("0_1", "arg"): 0.25, ("0_2", "nq"): 0.125}
    print_task_ranking(
        [
            ranked(int(subset[-1]), subset, task=task, score=score)
            for (subset, task), score in scores.items()
        ]
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "s, depth 2: NDCG@10 by task and rank"
    assert [line.split("│")[1:-1] for line in shown[4:6]] == [
        [" arg  ", " 0.2500 ", "        "],
        [" nq   ", " 0.5000 ", " 0.1250 "],
    ]
    assert shown[-2:] == ["  #1  0_1", "  #2  0_2"]


def test_means_by_test_set_stand_beside_their_weights(capsys: Capture) -> None:
    means = {("0_1", "en"): 0.5, ("0_1", "ja"): 0.25, ("0_2", "en"): 0.125}
    print_set_ranking(
        [
            ranked(int(subset[-1]), subset, test_set=name, mean=mean, tasks=2, weight=0.75)
            for (subset, name), mean in means.items()
        ]
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "s, depth 2: mean NDCG@10 by test set and rank"
    assert [line.split("│")[1:-1] for line in shown[4:6]] == [
        [" en       ", "     2 ", "   0.75 ", " 0.5000 ", " 0.1250 "],
        [" ja       ", "     2 ", "   0.75 ", " 0.2500 ", "        "],
    ]
    assert shown[-2:] == ["  #1  0_1", "  #2  0_2"]


@pytest.mark.parametrize(("tied", "shown"), [(3, "3"), (None, "?")])
def test_best_of_each_depth(capsys: Capture, tied: int | None, shown: str) -> None:
    row = {
        "study": "s",
        "depth": 2,
        "leader": "0_5",
        "leader_mean": 0.5,
        "tied": tied,
        "subsets": 9,
        "pick": "0_1",
        "pick_mean": 0.49,
        "margin": 0.01,
    }
    print_best([row])
    title, _, cells = printed(capsys)
    assert title == "Best per depth (pick: the simplest of the tied within 0.01 of the leader)"
    assert cells == [["s", "2", "0_5", "0.5000", shown, "9", "0_1", "0.4900"]]


def trial(**changed: object) -> Row:
    """Return a complete trial, with some fields changed."""
    row = {
        "id": 7,
        "depth": 2,
        "subset": "0_1",
        "seed": 3,
        "origin": "gp",
        "state": "complete",
        "mean": 0.5,
        "cut_seconds": 0.25,
        "train_seconds": None,
        "evaluate_seconds": 1.5,
        "finished_at": "2026-01-02 03:04:05",
        "error": None,
        "set_aside": False,
        "notes": None,
        "drift": None,
    }

    return row | changed


def test_trials(capsys: Capture) -> None:
    failed = {"state": "failed", "mean": None, "error": "it broke [/x]", "set_aside": True}
    waiting = {"state": "waiting", "mean": None, "finished_at": None}
    print_trials(
        "s",
        [
            trial(notes="lost a norm", drift="other content of table"),
            trial(**failed),
            trial(**failed | {"set_aside": False}),
            trial(**waiting),
        ],
    )

    title, _, cells = printed(capsys)
    assert title == "Trials of s"
    assert cells[0][:5] == ["7", "2", "0_1", "3", "gp"]
    assert [row[5:] for row in cells] == [
        ["complete", "0.5000", "1.8", "lost a norm; other content of table"],
        ["failed", "", "1.8", "set aside: it broke [/x]"],
        ["failed", "", "1.8", "it broke [/x]"],
        ["waiting", "", "", ""],
    ]


def test_attempts(capsys: Capture) -> None:
    row = {
        "depth": 2,
        "subset": "0_1",
        "seed": 0,
        "attempt": 2,
        "worker": "host:12:345:boot:pid:[1]",
        "started_at": "2026-01-02 03:04:05.678000",
        "ended_at": None,
        "outcome": "running",
        "reason": None,
    }
    print_attempts("s", [row])

    title, _, cells = printed(capsys)
    assert title == "Attempts at the trials of s"
    expected = ["2", "0_1", "0", "2", "host:12", "2026-01-02 03:04:05", "", "running", ""]
    assert cells == [expected]


def test_answers(capsys: Capture) -> None:
    print_answers("s", [])
    assert capsys.readouterr().out == "no answer yet: no trial is complete\n"

    found = Answer(
        subset=(0, 1),
        mean=0.5,
        deviation=0.01,
        probability=0.987,
        tied=4,
        trials=3,
        measured=0.51,
    )
    print_answers("s", [found])
    title, _, cells = printed(capsys)
    assert title == "Answer of s"
    assert cells == [["2", "0_1", "0.5000", "0.0100", "0.99", "4", "3", "0.5100"]]


def test_what_is_unknown_of_an_answer(capsys: Capture) -> None:
    found = [
        Answer(subset, 0.5, None, None, None, 1, 0.5, ("nobody knows",))
        for subset in ((0, 1), (0, 1, 2))
    ]
    print_answers("s", found)
    *table, last = capsys.readouterr().out.splitlines()
    assert [word for word in table[-2].split() if word == "?"] == ["?"] * 3
    assert last == "depths 2, 3: nobody knows"
    print_answers("s", found[:1])
    assert capsys.readouterr().out.splitlines()[-1] == "depth 2: nobody knows"


def test_best_of_a_screen(capsys: Capture) -> None:
    rows = [
        ScreenedSubset((0, 1), 0.25, 0.5),
        ScreenedSubset((0, 2), 0.5, 0.25),
        ScreenedSubset((0, 3), 0.125, 0.5),
        ScreenedSubset((0, 1, 2), 0.75, 0.5),
    ]
    print_screened("s", "untrained", rows, {2: 3, 3: 20}, top=2)
    shown = " ".join(capsys.readouterr().out.split())  # titles are wrapped to the tables' width
    assert "s, depth 2: screen, weights untrained, best 2 of 3 scored ┏" in shown
    of = "best 1 of 1 scored, a random sample of 20"
    assert f"s, depth 3: screen, weights untrained, {of} ┏" in shown
    assert shown.index(" 0_2 ") < shown.index(" 0_1 ")
    assert " 0_3 " not in shown


def test_fit_of_a_screen(capsys: Capture) -> None:
    print_fits([])
    assert capsys.readouterr().out == ""

    fit = FitRecord(
        depth=2,
        weights="untrained",
        measure="ndcg",
        subsets=9,
        spearman=0.875,
        spearman_low=0.5,
        spearman_high=0.99,
        recall=0.25,
        recall_low=0.0,
        recall_high=0.5,
    )
    print_fits([fit])
    title, _, cells = printed(capsys)
    assert title == "Screen against trials"
    expected = ["2", "untrained", "ndcg", "9", "0.88", "0.50 to 0.99", "0.25", "0.00 to 0.50"]
    assert cells == [expected]


def test_formats() -> None:
    assert [format_score(value) for value in (None, 0.0, 0.12345)] == ["", "0.0000", "0.1235"]
    assert format_error(None, set_aside=False) is None
    assert format_error("why", set_aside=False) == "why"
    assert format_error("why", set_aside=True) == "set aside: why"
