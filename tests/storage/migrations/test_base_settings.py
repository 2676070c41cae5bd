"""Revision 0005: studies that cut a model go on with the settings that they began with."""

import json
from typing import Any

from sqlalchemy import Engine, text

from storage.database import write
from storage.studies import find_study
from tests.support.schema import migrate_down, migrate_up
from tests.support.stores import begin, query

BASE = {"model": "a/b", "revision": None, "pooling": "cls", "query_length": 48}
BEFORE = {
    "cut": {
        "base": {**BASE, "document_length": 192},
        "evaluator": {"name": "retrieval", "query_prompt": "query: ", "document_prompt": ""},
    },
    "replayed": {"base": None, "evaluator": {"name": "table", "path": "x.csv"}},
    "replayed-with-a-base": {"base": BASE, "evaluator": {"name": "table", "path": "x.csv"}},
}
"""Study files as release 0.4 stored them, by the name of their study."""


def files(engine: Engine) -> dict[str, Any]:
    """The stored file of each study, and whether it has settings of its base."""
    rows = query(engine, "SELECT name, file FROM search_studies")
    return {name: json.loads(file) if isinstance(file, str) else file for name, file in rows}


def fill(engine: Engine) -> None:
    """Give a store the studies of release 0.4."""
    for name in BEFORE:
        begin(engine, {2: 1}, name)
    migrate_down(engine, "0004")
    with write(engine) as connection:
        for name, file in BEFORE.items():
            connection.execute(
                text("UPDATE search_studies SET file = :file WHERE name = :name"),
                {"file": json.dumps(file), "name": name},
            )


def test_what_was_left_unsaid_is_said(engine: Engine) -> None:
    fill(engine)
    migrate_up(engine, "head")

    found = files(engine)
    assert found["cut"] == {
        "base": {
            **BASE,
            "document_length": 192,
            "dense": False,
            "normalize": False,
            "similarity": "cosine",
            "query_prompt": "query: ",
            "document_prompt": "",
            "rhythm": True,
        },
        "evaluator": {"name": "retrieval"},
    }
    assert {name: found[name] for name in ("replayed", "replayed-with-a-base")} == {
        name: BEFORE[name] for name in ("replayed", "replayed-with-a-base")
    }
    assert find_study(engine, "cut").settings is None


def test_a_study_that_knew_no_rhythm_goes_on_without_one(engine: Engine) -> None:
    """Release 0.4 saw no rhythm in a Gemma, and every layer kept its own attention."""
    fill(engine)
    with write(engine) as connection:
        connection.execute(text("UPDATE search_studies SET period = NULL"))
    migrate_up(engine, "head")
    assert files(engine)["cut"]["base"]["rhythm"] is False


def test_the_way_back_restores_the_files(engine: Engine) -> None:
    fill(engine)
    migrate_up(engine, "head")
    migrate_down(engine, "0004")
    assert files(engine) == BEFORE
