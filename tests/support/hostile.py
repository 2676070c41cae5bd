"""Stores to which strangers have written: what they hold, and what no command may print of it."""

import json
import shutil
import sqlite3
import unicodedata
from pathlib import Path

from sqlalchemy import JSON, Enum, String

from search.study.file import read_study_file
from storage.columns import SubsetKey
from storage.costs import CostRecord, SpeedRecord, record_costs
from storage.schema import Table
from storage.screens import ScreenedSubset, record_screened
from storage.studies import find_study
from tests.support.commands import Done, run_command
from tests.support.mistakes import write_good
from tests.support.replays import store_at

CONTROLS = "\x1b[2J\x1b]0;owned\x07\x9b31m\x85\r\u202e\u2066\u200b\u2028\U000e0041"
"""An erased screen, a title, a colour by one byte, line ends, turned text and unseen text."""
HOSTILE = CONTROLS + "[/bold][red]:bomb: {{ 7 * 7 }}'\"`|<img src=x>$x$\n# forged\n../../victim/"
"""The same with markup of rich, a template, HTML, a cell, a formula, lines and a path."""

_QUOTED = "'" + HOSTILE.replace("'", "''") + "'"
"""The same in SQL."""

_NAMES = {
    "search_studies": ("uid", "name", "base", "folder", "phase"),
    "search_depths": ("optuna_study",),
    "search_tasks": ("task", "test_set"),
    "search_screens": ("weights",),
}
"""Columns that name something, and are checked when they are read."""
_FILE = {"search_studies": ("file", "fingerprints", "versions", "settings", "recipe_hash")}
"""Columns that say how a study is run."""


def make_good(folder: Path) -> None:
    """Make a store in `folder` in which every table that a study fills has rows.

    The study `good` has trials, tasks, a screen, costs and speeds; one of its trials has failed.
    """
    write_good(folder)
    with_failure = (folder / "study.toml").read_text(encoding="utf-8")
    edited = with_failure.replace("4 = 2", "4 = 3").replace('"0_1_2_21",', '"0_1_2_21", "0_1_2_9",')
    (folder / "study.toml").write_text(edited, encoding="utf-8")
    store = f"sqlite:///{folder}/store.db"
    done = run_command("launch", folder / "study.toml", "--store", store)
    assert done.returncode == 0, done.stderr

    whole = tuple(range(22))
    with store_at(store) as engine:
        study = find_study(engine, "good")
        record_screened(engine, study.id, "untrained", [ScreenedSubset((0, 1, 2, 18), 0.5, 0.5)])
        cost = CostRecord(10, 5, 5, 40, 8, 9)
        speed = SpeedRecord("abacus", 2.0, 1.9, 2.1, 10.0, 5.0, 3, 4, 2, 1, "fp32")
        best = (0, 1, 2, 21)
        record_costs(engine, study.id, {best: cost, whole: cost}, {best: speed})
    _write(
        folder / "store.db",
        "INSERT INTO search_tasks (study_id, task, test_set, share) SELECT DISTINCT study_id, "
        "task, 'nano', 1.0 / 13 FROM search_task_scores JOIN search_trials ON id = trial_id",
    )


def spoil_texts(path: Path) -> None:
    """Make every text of a store hostile that neither names a study nor says how it is run."""
    spared = {
        table: {*_NAMES.get(table, ()), *_FILE.get(table, ())} for table in Table.metadata.tables
    }
    for table, column, value in _columns(spared):
        _write(path, f"UPDATE {table} SET {column} = {value}")  # noqa: S608 - our own names


def spoil_file(path: Path) -> None:
    """Make everything hostile that says how the study of a store is run."""
    file = read_study_file(path.with_name("study.toml")).plain()
    file["evaluator"]["path"] = HOSTILE
    file["base"] = {"model": f"a/{HOSTILE}", "query_prompt": HOSTILE}

    columns = ("fingerprints", "versions", "settings")
    values = [json.dumps({"table": HOSTILE, HOSTILE: HOSTILE})] * len(columns)
    _write(
        path,
        "UPDATE search_studies SET file = ?, fingerprints = ?, versions = ?, settings = ?, "
        "recipe_hash = ?",
        json.dumps(file),
        *values,
        HOSTILE,
    )


def spoil_names(path: Path) -> None:
    """Make every name in a store hostile, the study's own is `HOSTILE` then."""
    kept = {table: {*_FILE.get(table, ())} for table in Table.metadata.tables}
    for table, column, value in _columns(kept):
        _write(path, f"UPDATE {table} SET {column} = {value}")  # noqa: S608 - our own names
    _write(path, "UPDATE search_studies SET name = ?", HOSTILE)


def spoil_keys(path: Path) -> None:
    """Make every subset, state and reason in a store hostile."""
    for table in Table.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, SubsetKey | Enum):
                value = f"{_QUOTED} || coalesce({column.name}, '')"
                _write(path, f"UPDATE {table.name} SET {column.name} = {value}")  # noqa: S608


def assert_harmless(done: Done) -> None:
    """Fail if a command wrote what acts on a terminal, a line of a stranger's own, or a traceback.

    A command that failed must have said why, in one line.
    """
    output = done.stdout + done.stderr
    acting = {one for one in output if not one.isprintable() and unicodedata.category(one) != "Zs"}
    assert acting <= {"\n"}, (done.args, acting)
    assert not [line for line in output.split("\n") if line.lstrip("│┃ ").startswith("# forged")]

    assert "Traceback" not in output
    assert "MarkupError" not in output
    assert done.returncode in (0, 1, 2)
    if done.returncode:
        assert done.stderr.rstrip("\n").split("\n")[-1].startswith("error: ")


def copy_store(path: Path, folder: Path) -> str:
    """Copy a store with the files of its study, and return its URL."""
    for source in path.parent.iterdir():
        shutil.copy(source, folder)
    return f"sqlite:///{folder / path.name}"


def _columns(spared: dict[str, set[str]]) -> list[tuple[str, str, str]]:
    """Return table, column and the SQL of a hostile value, for each text that is not spared."""
    found = []
    for table in Table.metadata.sorted_tables:
        for column in table.columns:
            is_text = isinstance(column.type, String) and not isinstance(column.type, Enum)
            if column.name in spared[table.name] or isinstance(column.type, SubsetKey):
                continue
            if is_text:
                # before what is there: so values that were unique are unique still
                found.append((table.name, column.name, f"{_QUOTED} || coalesce({column.name}, '')"))
            elif isinstance(column.type, JSON):
                found.append((table.name, column.name, f"json_object({_QUOTED}, {_QUOTED})"))
    return found


def _write(path: Path, sql: str, *values: object) -> None:
    """Run a piece of SQL on a store."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = on")
        connection.execute(sql, values)
    connection.close()
