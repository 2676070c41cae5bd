"""A worker replays the model card: the leaderboard is the card's table, on each database."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from search.study.file import read_study_file
from search.study.plan import build_evaluator
from search.worker.loop import run_trials
from search.worker.session import begin_session
from tests.support.card import card_board, card_by_task
from tests.support.stores import query
from tests.support.workers import Watcher


@pytest.mark.slow
def test_card_is_reproduced_rank_by_rank_and_task_by_task(
    engine: Engine, card_study: Path, card_rows: list[dict[str, str]]
) -> None:
    file, folder = read_study_file(card_study), card_study.parent
    session = begin_session(engine, file, folder, build_evaluator(file, folder))
    run_trials(session, Watcher())
    session.mirror.close()

    for depth, rows in card_board(card_rows, "mean").items():
        found = query(
            engine,
            "SELECT rank, subset, mean FROM leaderboard "  # noqa: S608 - a number of ours
            f"WHERE study = 'card' AND depth = {depth} ORDER BY rank",
        )
        assert found == [(rank, *row) for rank, row in enumerate(rows, 1)]
    assert query(engine, "SELECT DISTINCT origin, seeds FROM leaderboard") == [("first", 1)]

    picks = query(engine, "SELECT depth, pick FROM best_per_depth ORDER BY depth")
    assert picks[:3] == [  # the ones that the card names
        (4, "0_1_2_18"),
        (7, "0_1_2_3_4_5_18"),
        (13, "0_1_2_3_4_5_6_7_8_9_10_11_18"),
    ]

    tasks = query(engine, "SELECT depth, rank, subset, task, score, seeds FROM leaderboard_by_task")
    assert len(tasks) == 27 * 13
    assert set(tasks) == card_by_task(card_rows)
    assert query(engine, "SELECT count(*) FROM query_scores") == [(0,)]
