"""Screens: scores with shared weights, and how well they predict trials."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from storage.leaderboard import mean_by_subset
from storage.queue import Result
from storage.screens import (
    FitRecord,
    ScreenedSubset,
    read_screened,
    record_screened,
    replace_fits,
)
from storage.studies import StudyRecord, delete_study
from tests.support.stores import begin, finish_trial, new_trial, query

FIT = FitRecord(3, "untrained", "ndcg", 30, 0.9, 0.8, 0.95, 0.7, 0.5, 0.9)
PAIR = ScreenedSubset((0, 1), 0.25, 0.5)
TRIPLES = [ScreenedSubset((0, 1, 2), 0.5, 0.75), ScreenedSubset((0, 1, 3), 0.125, -0.25)]


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3."""
    return begin(engine, {2: 9, 3: 9})


# scores


def test_scores_are_read_by_weights_and_depth(engine: Engine, study: StudyRecord) -> None:
    assert read_screened(engine, study.id) == {}
    record_screened(engine, study.id, "untrained", [*TRIPLES, PAIR])
    record_screened(engine, study.id, "supernet", TRIPLES[:1])

    assert read_screened(engine, study.id) == {
        "supernet": TRIPLES[:1],
        "untrained": [PAIR, *TRIPLES],
    }
    assert read_screened(engine, study.id, 2) == {"untrained": [PAIR]}
    assert read_screened(engine, study.id + 1) == {}
    assert [one.depth for one in (PAIR, *TRIPLES)] == [2, 3, 3]


def test_subset_that_has_a_score_keeps_it(engine: Engine, study: StudyRecord) -> None:
    record_screened(engine, study.id, "untrained", [PAIR])
    again = [replace(PAIR, ndcg=0.9), TRIPLES[0]]
    record_screened(engine, study.id, "untrained", iter(again))
    record_screened(engine, study.id, "untrained", [])
    assert read_screened(engine, study.id) == {"untrained": [PAIR, TRIPLES[0]]}


# trials beside them


def test_means_are_over_the_seeds_of_each_subset(engine: Engine, study: StudyRecord) -> None:
    for seed, mean in ((0, 0.25), (1, 0.75)):
        finish_trial(engine, study, new_trial((0, 1, 2), seed), Result(mean))
    finish_trial(engine, study, new_trial((0, 1, 3)), Result(None, error="the loss is NaN"))
    finish_trial(engine, study, new_trial((0, 1)), Result(1.0))
    assert mean_by_subset(engine, study.id, 3) == {(0, 1, 2): 0.5}
    assert mean_by_subset(engine, study.id, 4) == {}

    record_screened(engine, study.id, "untrained", TRIPLES)
    sql = "SELECT study, depth, subset, weights, ndcg, agreement, mean, seeds FROM screens"
    assert sorted(query(engine, sql)) == [
        ("s", 3, "0_1_2", "untrained", 0.5, 0.75, 0.5, 2),
        ("s", 3, "0_1_3", "untrained", 0.125, -0.25, None, None),
    ]


# fits


def fits(engine: Engine) -> list[tuple[object, ...]]:
    """Return the view's rows but for their time."""
    sql = (
        "SELECT depth, weights, measure, subsets, spearman, spearman_low, spearman_high,"
        " recall, recall_low, recall_high FROM screen_fits WHERE study = 's'"
        " ORDER BY depth, weights, measure"
    )
    return query(engine, sql)


def test_fits_of_a_depth_replace_its_earlier_ones(engine: Engine, study: StudyRecord) -> None:
    two = replace(FIT, depth=2)
    replace_fits(engine, study.id, [2, 3], [two, FIT, replace(FIT, measure="agreement")])
    assert [row[:3] for row in fits(engine)] == [
        (2, "untrained", "ndcg"),
        (3, "untrained", "agreement"),
        (3, "untrained", "ndcg"),
    ]
    assert fits(engine)[2][3:] == (30, 0.9, 0.8, 0.95, 0.7, 0.5, 0.9)

    newer = replace(FIT, weights="supernet", subsets=31)
    replace_fits(engine, study.id, [3], [newer])
    assert [row[:4] for row in fits(engine)] == [
        (2, "untrained", "ndcg", 30),
        (3, "supernet", "ndcg", 31),
    ]
    replace_fits(engine, study.id, [2, 3], [])
    assert fits(engine) == []


def test_screens_go_with_their_study(engine: Engine, study: StudyRecord) -> None:
    record_screened(engine, study.id, "untrained", TRIPLES)
    replace_fits(engine, study.id, [3], [FIT])
    delete_study(engine, "s")
    for table in ("search_screens", "search_screen_fits"):
        assert query(engine, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - constants
