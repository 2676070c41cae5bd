"""The views as SQL clients see them, without anything of this project, on the model card."""

import csv
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from storage.leaderboard import best_per_depth, rank_subsets
from tests.support.card import card_board, card_by_task, card_tasks
from tests.support.databases import run_sql

Ask = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def plain(engine: Engine) -> Iterator[Ask]:
    """Open the database with its own driver, without anything of this project."""
    if engine.dialect.name == "sqlite":
        uri = f"file:{engine.url.database}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
        return

    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    yield lambda sql: run_sql(url, sql)


def test_card_is_reproduced_rank_by_rank_and_task_by_task(
    replayed: Engine, card_rows: list[dict[str, str]]
) -> None:
    board = card_board(card_rows, "mean")
    assert {depth: len(rows) for depth, rows in board.items()} == {22: 1, 13: 10, 7: 11, 4: 5}
    assert len(card_tasks(card_rows)) == 13

    with plain(replayed) as ask:
        for depth, rows in board.items():
            found = ask(
                "SELECT rank, subset, mean FROM leaderboard "  # noqa: S608 - a number of ours
                f"WHERE study = 'card' AND depth = {depth} ORDER BY rank"
            )
            assert found == [(rank, *row) for rank, row in enumerate(rows, 1)]
        assert ask("SELECT DISTINCT origin, seeds FROM leaderboard") == [("first", 1)]
        found = ask("SELECT depth, rank, subset, task, score, seeds FROM leaderboard_by_task")
    assert len(found) == 27 * 13
    assert set(found) == card_by_task(card_rows)


def test_layers_18_and_21_are_tied_on_the_card(replayed: Engine) -> None:
    (row,) = (r for r in rank_subsets(replayed, "card", 4) if r["subset"] == "0_1_2_18")
    shown = (round(row["difference"], 4), round(row["difference_error"], 4), row["tied"])
    assert shown == (-0.0028, 0.0042, 1)
    leaders = {best["depth"]: best["leader"] for best in best_per_depth(replayed, "card")}
    assert leaders[4] == "0_1_2_21"


def client_rows(engine: Engine, sql: str) -> list[list[str]]:
    """Return the rows of `sql` as a client on the command line prints them."""
    if engine.dialect.name == "sqlite":
        program, arguments = "sqlite3", ["-readonly", "-csv", str(engine.url.database)]
    else:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        program, arguments = "psql", ["--no-psqlrc", "--csv", "--tuples-only", url, "--command"]

    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs the client {program}")
    run = subprocess.run([path, *arguments, sql], capture_output=True, text=True, check=True)
    return list(csv.reader(run.stdout.splitlines()))


def test_clients_on_the_command_line_read_the_views(
    replayed: Engine, card_rows: list[dict[str, str]]
) -> None:
    board = client_rows(
        replayed, "SELECT rank, subset, mean FROM leaderboard WHERE depth = 7 ORDER BY rank"
    )
    expected = card_board(card_rows, "mean")[7]
    assert [(int(rank), subset, float(mean)) for rank, subset, mean in board] == [
        (rank, *row) for rank, row in enumerate(expected, 1)
    ]

    tasks = client_rows(
        replayed,
        "SELECT subset, score FROM leaderboard_by_task "
        "WHERE depth = 4 AND task = 'NanoNQ' ORDER BY score DESC",
    )
    assert [(subset, float(score)) for subset, score in tasks] == card_board(card_rows, "NanoNQ")[4]
    assert client_rows(replayed, "SELECT count(*) FROM query_scores") == [["0"]]
