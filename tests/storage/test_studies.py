"""Studies: begun once, joined by all workers, looked up and deleted."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from storage.database import write
from storage.errors import InputError, StoreTamperedError
from storage.queue import Result, TaskResult
from storage.screens import ScreenedSubset, record_screened
from storage.studies import (
    StudyRecord,
    StudyUpdate,
    TaskShare,
    add_depth,
    begin_study,
    delete_study,
    find_study,
    optuna_name,
    set_budgets,
    study_names,
)
from tests.support.stores import (
    Dump,
    begin,
    define,
    finish_trial,
    new_trial,
    query,
    queue_of,
)


def test_study_is_kept_as_it_was_defined(engine: Engine) -> None:
    definition = define(
        "s",
        file={"study": {"name": "s", "depths": [4], "first": ["front"]}, "base": None},
        folder="/data",
        period=None,
        fingerprints={"base": "f", "test": "g"},
        versions={"torch": "2.13.0"},
    )
    made = begin_study(engine, definition, {7: 3, 4: 2})
    assert {name: getattr(made, name) for name in definition.__slots__} == {
        name: getattr(definition, name) for name in definition.__slots__
    }
    assert re.fullmatch("[0-9a-f]{32}", made.uid)
    assert made.budgets == {4: 2, 7: 3}
    assert find_study(engine, "s") == made

    rows = query(engine, "SELECT depth, optuna_study FROM search_depths ORDER BY depth")
    assert rows == [(4, optuna_name("s", 4)), (7, "s/L7")]


def test_phase_is_the_first_unless_it_is_said(engine: Engine) -> None:
    assert begin(engine, {4: 1}, "first").phase == "first"
    assert begin(engine, {4: 1}, "last", period=6, phase="last").phase == "last"
    assert find_study(engine, "last").phase == "last"
    rows = query(engine, "SELECT name, period, phase FROM search_studies ORDER BY name")
    assert rows == [("first", 3, "first"), ("last", 6, "last")]


# joining


def test_study_of_the_same_name_is_joined(engine: Engine) -> None:
    made = begin(engine, {4: 2})
    seen: list[StudyRecord] = []

    def look(record: StudyRecord) -> None:
        seen.append(record)

    joined = begin_study(engine, define(recipe_hash="other"), {4: 9, 7: 3}, look)
    assert seen == [made]  # as the store has it
    assert (joined.id, joined.uid, joined.recipe_hash) == (made.id, made.uid, "hash")
    assert joined.budgets == {4: 2, 7: 3}  # a depth that is there keeps its own


def test_nothing_is_written_when_the_check_refuses(engine: Engine, dump: Dump) -> None:
    def refuse(record: StudyRecord) -> None:
        message = f"not {record.name}"
        raise InputError(message)

    before = dump(engine)
    with pytest.raises(InputError, match="not s"):
        begin_study(engine, define(), {4: 2}, refuse)
    assert dump(engine) == before

    begin(engine, {4: 2})
    before = dump(engine)
    with pytest.raises(InputError, match="not s"):
        begin_study(engine, define(), {7: 3}, refuse)
    assert dump(engine) == before


def test_changes_are_written_and_nothing_else(engine: Engine) -> None:
    study = begin(engine, {4: 5, 7: 5, 13: 5})
    finish_trial(engine, study, new_trial((0, 1, 2, 3, 4, 5, 6)), Result(0.5))
    change = StudyUpdate(file={"new": 1}, margin=0.25, budgets={4: 8, 9: 2}, closed=[7, 13])
    joined = begin_study(engine, define(margin=0.5), {4: 5, 9: 5}, lambda _: change)

    assert joined.budgets == {4: 8, 7: 1, 9: 2, 13: 0}  # closed at the trials that were taken
    assert (joined.file, joined.margin, joined.recipe_hash) == ({"new": 1}, 0.25, "hash")
    assert queue_of(engine, study).remaining(7) == 0


def test_a_closed_depth_with_a_lower_budget_keeps_it(engine: Engine) -> None:
    study = begin(engine, {2: 5})
    for layer in (1, 2, 3):
        finish_trial(engine, study, new_trial((0, layer)), Result(0.5))
    set_budgets(engine, study, {2: 1})
    change = StudyUpdate(file={}, margin=0.0, budgets={}, closed=[2])
    assert begin_study(engine, define(), {2: 9}, lambda _: change).budgets == {2: 1}


def test_of_two_that_change_a_study_each_sees_the_other(engine: Engine) -> None:
    """Both take what is there and add to it: nothing is lost, whoever comes first."""
    begin(engine, {4: 0})

    def add_one(record: StudyRecord) -> StudyUpdate:
        budget = record.budgets[4] + 1
        time.sleep(0.05)  # long enough to be overtaken without a lock
        return StudyUpdate(file={}, margin=0.0, budgets={4: budget}, closed=[])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: begin_study(engine, define(), {4: 0}, add_one), range(4)))
    assert find_study(engine, "s").budgets == {4: 4}


def test_a_study_knows_whether_it_was_screened(engine: Engine) -> None:
    study, other = begin(engine, {2: 1}), begin(engine, {2: 1}, "other")
    record_screened(engine, study.id, "untrained", [ScreenedSubset((0, 1), 0.5, 0.5)])
    assert find_study(engine, "s").is_screened
    assert not find_study(engine, other.name).is_screened


# budgets


def test_budgets_are_set_and_depths_added(engine: Engine) -> None:
    study = begin(engine, {4: 2})
    set_budgets(engine, study, {4: 9, 7: 1})
    assert find_study(engine, "s").budgets == {4: 9, 7: 1}

    add_depth(engine, study, 13)
    add_depth(engine, study, 4)  # it is there
    assert find_study(engine, "s").budgets == {4: 9, 7: 1, 13: 0}


# looking up, deleting


def test_unknown_study_is_refused_with_the_names_of_all(engine: Engine) -> None:
    for action in (find_study, delete_study):
        with pytest.raises(InputError) as caught:
            action(engine, "x")
        assert str(caught.value) == "the store has no study 'x': it holds none yet"

    begin(engine, {4: 2}, "b")
    begin(engine, {4: 2}, "a")
    assert study_names(engine) == ["a", "b"]
    for action in (find_study, delete_study):
        with pytest.raises(InputError) as caught:
            action(engine, "x")
        assert str(caught.value) == "the store has no study 'x': it holds a, b"


def test_deleted_study_takes_everything_of_its_own_and_nothing_else(
    engine: Engine, dump: Dump
) -> None:
    other = begin(engine, {2: 9}, "other")
    result = Result(0.5, {"nq": TaskResult(0.5, {"q1": 0.5})})
    finish_trial(engine, other, new_trial((0, 1)), result)
    before = dump(engine)

    study = begin(engine, {2: 9})
    finish_trial(engine, study, new_trial((0, 1)), result)
    assert dump(engine) != before
    delete_study(engine, "s")
    assert dump(engine) == before

    again = begin(engine, {2: 9})
    assert again.uid != study.uid


# names


def change(engine: Engine, sql: str) -> None:
    """Write to a store as anybody may who knows SQL."""
    with write(engine) as connection:
        connection.execute(text(sql))


@pytest.mark.parametrize(
    ("changed", "mistake"),
    [
        ({"name": "../s"}, "name should be letters, digits"),
        ({"base": "../s"}, "base should be the name of a folder, without '/', and is '../s'"),
        ({"folder": "data"}, "folder should be an absolute path"),
        ({"tasks": {"<b>": TaskShare("a", 1)}}, "tasks.<b> should be letters and digits"),
        ({"tasks": {"a": TaskShare("a|b", 1)}}, "tasks.a.test_set should be letters and digits"),
    ],
)
def test_study_begins_with_names_only(
    engine: Engine, dump: Dump, changed: dict[str, object], mistake: str
) -> None:
    before = dump(engine)
    with pytest.raises(InputError, match=re.escape(mistake)):
        begin_study(engine, define(**{"name": "s", **changed}), {2: 1})  # type: ignore[arg-type]
    assert dump(engine) == before


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ("search_studies SET uid = '../../victim'", "uid should be 32 hexadecimal digits"),
        ("search_studies SET base = '../../victim'", "base should be the name of a folder"),
        ("search_studies SET base = 'a\"); b(\"'", "base should be letters and digits"),
        ("search_studies SET folder = 'victim'", "folder should be an absolute path"),
        ("search_studies SET phase = 'middle'", "phase should be 'first' or 'last'"),
        ("search_studies SET file = '7'", "file should be a"),
        ("search_studies SET fingerprints = '[]'", "fingerprints should be a"),
        ("search_studies SET settings = '\"a\"'", "settings should be a"),
        ("search_tasks SET test_set = '<b>'", "tasks.a.test_set should be letters and digits"),
        ("search_tasks SET task = '`b`'", "tasks.`b` should be letters and digits"),
    ],
)
def test_study_of_a_stranger_is_refused(engine: Engine, written: str, mistake: str) -> None:
    begin(engine, {2: 1}, tasks={"a": TaskShare("b", 1)})
    change(engine, f"UPDATE {written}")
    with pytest.raises(StoreTamperedError, match=r"study 's' holds something that .* never writes"):
        find_study(engine, "s")
    with pytest.raises(StoreTamperedError, match=re.escape(mistake)):
        find_study(engine, "s")


def test_name_of_a_stranger_is_refused(engine: Engine) -> None:
    begin(engine, {2: 1})
    change(engine, "UPDATE search_studies SET name = 'a b'")
    with pytest.raises(StoreTamperedError, match="name should be letters"):
        find_study(engine, "a b")
