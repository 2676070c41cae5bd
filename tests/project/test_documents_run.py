"""Every block of the documents is run: each page is a session in a folder of its own."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.support.card import record_card
from tests.support.commands import read_json, run_command
from tests.support.databases import run_sql
from tests.support.documents import PAGES, ROOT, Block, name_of, read_blocks
from tests.support.page_folder import STORE, prepare_folder, prepare_store
from tests.support.page_session import POSTGRES, PageSession, command_lines, split_line
from tests.support.stores import query

README = ROOT / "README.md"
CODE = {"sh", "python", "sql", "toml", "yaml", "json"}
RUN = [page for page in PAGES if any(block.language in CODE for block in read_blocks(page))]
"""The pages with something to run."""
READER = "reader"
"""The role that the pages create."""


@pytest.fixture(scope="module")
def _quick_collections() -> Iterator[None]:
    """Take everything that is imported by now for good: each trial collects garbage twice."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, _quick_collections: None) -> Path:
    """Folder with examples, data, a base, and a store that holds two studies."""
    folder = tmp_path_factory.mktemp("documents")
    prepare_folder(folder)
    prepare_store(folder)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder."""
    return shutil.copytree(prepared, tmp_path / "page")


@pytest.fixture
def pages_database(postgres_url: str, postgres_server: str) -> Iterator[str]:
    """URL of a database without the role that the pages create."""
    yield postgres_url
    if run_sql(postgres_server, f"SELECT FROM pg_roles WHERE rolname = '{READER}'"):
        run_sql(postgres_url, f"DROP OWNED BY {READER}", f"DROP ROLE {READER}")


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_page_runs_from_top_to_bottom(
    page: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8")
    database = request.getfixturevalue("pages_database") if POSTGRES in text else ""
    session = PageSession(folder, database, quickstart="layer-search-quickstart/" in text)

    for block in read_blocks(page):
        session.run(block)


@pytest.mark.slow
def test_first_run_gives_the_table_of_the_card(
    prepared: Path, card_rows: list[dict[str, str]]
) -> None:
    (tour,) = (block for block in read_blocks(README) if "launch examples/card.toml" in block.text)
    lines = command_lines(tour)
    assert len(lines) == 6
    assert {split_line(line)[1][0] for line in lines} == {"layer-search"}

    store = {"LAYER_SEARCH_STORE": f"sqlite:///{STORE}"}
    board = ("leaderboard", "card", "--json")
    rows = read_json(run_command(*board, cwd=prepared, **store))
    expected = sorted(card_rows, key=lambda row: (int(row["depth"]), -float(row["mean"])))
    found = [(str(row["depth"]), row["subset"], f"{row['mean']:.4f}") for row in rows]
    assert found == [(row["depth"], row["subset"], row["mean"]) for row in expected]
    ranks = {depth: [row["rank"] for row in rows if row["depth"] == depth] for depth in (4, 7, 13)}
    assert ranks == {4: [*range(1, 6)], 7: [*range(1, 12)], 13: [*range(1, 11)]}

    scores = read_json(run_command(*board, "--by-task", cwd=prepared, **store))
    by_task = {(row["subset"], row["task"]): f"{row['score']:.4f}" for row in scores}
    tasks = [name for name in expected[0] if name.startswith("Nano")]
    assert len(tasks) == 13
    assert by_task == {(row["subset"], task): row[task] for row in expected for task in tasks}


def test_queries_give_the_same_rows_on_each_database(
    engine: Engine, card_rows: list[dict[str, str]]
) -> None:
    record_card(engine, card_rows)
    blocks = read_blocks(ROOT / "docs" / "how-to" / "query-in-sql.md")
    queries = [block.text for block in blocks if block.language == "sql"]
    best, by_task, by_query, by_depth = (query(engine, text.strip(";\n")) for text in queries)

    assert len(best) == 3 + 3 + 3 + 1
    assert best[0][:4] == (4, 1, "0_1_2_21", 0.4558)
    assert len(by_task) == 13
    assert sum(gap for _, gap in by_task) / 13 == pytest.approx(-0.0028, abs=5e-5)
    assert by_query == []  # the table has no queries
    assert [row[0] for row in by_depth] == [4, 7, 13, 22]
    assert by_depth[1][1:7] == ("0_1_2_3_6_8_18", 0.4722, 4, 11, "0_1_2_3_4_5_18", 0.4693)
    assert by_depth[1][7] == 0.005


def test_optuna_script_searches_its_space(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = read_blocks(ROOT / "docs" / "how-to" / "optuna-script.md")
    script = next(block for block in blocks if block.language == "python")
    names: dict[str, Any] = {}
    exec(compile(script.text, script.place, "exec"), names)  # noqa: S102 - our own document

    tried = [names["space"].decode_parameters(trial.params) for trial in names["study"].trials]
    assert len(set(tried)) == 40
    assert all(subset in names["space"] for subset in tried)
    best = max(tried, key=names["score"])
    assert capsys.readouterr().out == f"2478 subsets, best: {best}\n"


def test_shown_output_must_be_printed(tmp_path: Path) -> None:
    def run(shown: str, marks: dict[str, str]) -> None:
        session = PageSession(tmp_path, "")
        session.run(Block("page", 1, "python", "print('a 1\\nb 2\\nc 3')\n"))
        session.run(Block("page", 2, "text", shown, marks))

    run("b 2\nc 3\n", {})
    run("a 1\nc 3\n", {"shortened": ""})
    run("a 7\n", {"output": "the numbers differ"})
    for shown, marks in (("b 2\n", {}), ("b 3\n", {"shortened": ""}), ("d 1\n", {"output": ""})):
        with pytest.raises(AssertionError):
            run(shown, marks)
