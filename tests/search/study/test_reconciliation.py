"""A study file against the stored one: recipes are refused, the rest is taken over and said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from search.errors import InputError
from search.study.file import StudyFile, parse_study_file
from search.study.reconciliation import find_reconciled, reconcile, require_same_recipe
from storage.database import connect, parse_url
from storage.studies import StudyRecord
from tests.support.stores import begin
from tests.support.study_files import change, full, record_of

TRIALS = '{"4": 40, "7": 80, "13": 60}'


@pytest.fixture
def study() -> StudyRecord:
    """The study of the full study file."""
    return record_of(parse_study_file(full()))


def changed(key: str, value: object) -> StudyFile:
    """Return the full study file with another value for one key."""
    return parse_study_file(change(key, value))


def without(*keys: str) -> StudyFile:
    """Return the full study file without some dotted keys."""
    data = full()
    for key in keys:
        *sections, last = key.split(".")
        record = data
        for section in sections:
            record = record[section]
        del record[last]
    return parse_study_file(data)


# keys that decide scores


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("study.seed", 13, "study.seed (stored: 12, in the file: 13)"),
        ("evaluator.train.positive", "x", "evaluator.train.positive (stored: 'hit', in the "),
        ("evaluator.steps", 7, "evaluator.steps (stored: 240, in the file: 7)"),
        ("base.revision", "new", "base.revision (stored: 'abc123', in the file: 'new')"),
        ("base.pooling", "mean", "base.pooling (stored: 'cls', in the file: 'mean')"),
    ],
)
def test_a_key_that_decides_scores_is_refused(
    study: StudyRecord, key: str, value: object, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        reconcile(study, changed(key, value))
    message = str(caught.value)
    assert message.startswith(f"study 'mmbert-small.v1' began with another file: {said}")
    assert message.endswith(
        ". Scores would not compare: restore the file, or give the changed study a new name"
    )


def test_every_such_key_is_named_and_no_other(study: StudyRecord) -> None:
    data = change("study.seed", 13)
    data["evaluator"]["steps"] = 7
    data["study"]["trials"] = 5
    with pytest.raises(InputError) as caught:
        reconcile(study, parse_study_file(data))
    named = str(caught.value).partition("another file: ")[2].partition(". Scores")[0]
    assert named == (
        "evaluator.steps (stored: 240, in the file: 7); study.seed (stored: 12, in the file: 13)"
    )


def test_the_sample_of_a_screen_is_settled_by_its_first_score(study: StudyRecord) -> None:
    wider = changed("screen.queries", 50)
    assert reconcile(study, wider).changes == ("screen.queries: 5 -> 50, taken over",)
    with pytest.raises(InputError, match=r"screen\.queries \(stored: 5, in the file: 50\)"):
        reconcile(replace(study, is_screened=True), wider)

    other = changed("screen.weights", "untrained")  # their scores are kept apart
    assert len(reconcile(replace(study, is_screened=True), other).changes) == 1


# keys of the recipe that are left out


def test_a_recipe_left_out_is_the_one_that_the_study_began_with(study: StudyRecord) -> None:
    shorter = without("base.revision", "evaluator.test.revision", "evaluator.train.config")
    assert shorter.base is not None
    assert shorter.base.revision is None

    found = reconcile(study, shorter)
    assert found.file == parse_study_file(full())
    assert (found.changes, found.update) == ((), None)


def test_whole_sections_may_be_left_out(study: StudyRecord) -> None:
    assert without("base").base is None
    assert reconcile(study, without("base")).file == parse_study_file(full())


def test_a_key_that_the_study_began_without_is_a_change(study: StudyRecord) -> None:
    plain = without("base.revision").plain()
    with pytest.raises(InputError, match=r"base\.revision \(stored: None, in the file: 'abc123'"):
        reconcile(replace(study, file=plain), parse_study_file(full()))


def test_an_evaluator_of_another_recipe_is_not_gone_on_with(study: StudyRecord) -> None:
    loaded = without("base.revision")
    now = reconcile(study, loaded).file
    require_same_recipe(parse_study_file(full()), now)
    with pytest.raises(InputError, match=r"'mmbert-small\.v1' was begun with another recipe while"):
        require_same_recipe(loaded, now)


# all other keys

FREE = [
    ("study.trials", 50, f"study.trials: {TRIALS} -> 50, taken over"),
    ("study.attempts", 9, "study.attempts: 5 -> 9, taken over"),
    ("study.replicates", 2, 'study.replicates: "auto" -> 2, taken over'),
    ("study.first", [], 'study.first: ["front", "0_1_2_18", "0_1_2_3_6_8_18", "back"] -> [], '),
    ("sampler.startup", 7, "sampler.startup: 12 -> 7, taken over"),
    ("screen.steps", 9, "screen.steps: 100 -> 9, taken over"),
    (
        "space.pinned",
        [],
        "space.pinned: [18] -> [], taken over; subsets that were tried under the old rules stay on",
    ),
]


@pytest.mark.parametrize(("key", "value", "line"), FREE)
def test_any_other_key_is_taken_over_and_said(
    study: StudyRecord, key: str, value: object, line: str
) -> None:
    given = changed(key, value)
    found = reconcile(study, given)
    assert found.file == given
    (said,) = found.changes
    assert said.startswith(line)
    assert found.update is not None
    assert found.update.file == given.plain()


def test_another_sampler_brings_its_own_keys(study: StudyRecord) -> None:
    data = full() | {"sampler": {"name": "uniform"}}
    assert reconcile(study, parse_study_file(data)).changes == (
        'sampler.name: "swap" -> "uniform", taken over',
        "sampler.startup: 12 -> nothing, taken over",
        "sampler.explore: 0.25 -> nothing, taken over",
    )


def test_only_budgets_that_the_file_changes_are_set(study: StudyRecord) -> None:
    """Others may have been set by `launch --trials`."""
    update = reconcile(study, changed("study.trials", {"4": 40, "7": 90, "13": 60})).update
    assert update is not None
    assert (update.budgets, update.closed) == ({7: 90}, [])

    update = reconcile(study, changed("study.attempts", 9)).update
    assert update is not None
    assert update.budgets == {}


def test_depths_come_and_go(study: StudyRecord) -> None:
    data = change("study.depths", [4, 9])
    data["study"]["trials"] = 40
    data["study"]["first"] = ["0_1_2_18"]
    found = reconcile(study, parse_study_file(data))
    assert found.changes[0] == (
        "study.depths: [4, 7, 13] -> [4, 9], taken over; "
        "depth 7, 13: the trials stay, and no more are begun"
    )
    assert found.update is not None
    assert (found.update.budgets, found.update.closed) == ({9: 40}, [7, 13])


def test_the_margin_is_recorded(study: StudyRecord) -> None:
    data = full()
    data["study"]["margin"] = 0.02
    found = reconcile(study, parse_study_file(data))
    assert found.changes == ("study.margin: 0.01 -> 0.02, taken over",)
    assert found.update is not None
    assert found.update.margin == 0.02


def test_keys_that_came_with_a_later_release_count_with_their_defaults(study: StudyRecord) -> None:
    """A file that an older release stored lacks them."""
    plain = parse_study_file(full()).plain()
    del plain["screen"], plain["study"]["replicates"], plain["study"]["margin"]
    old = replace(study, file=plain)
    assert reconcile(old, without("screen", "study.replicates", "study.margin")).changes == ()
    assert "screen.queries: 10 -> 5, taken over" in reconcile(old, parse_study_file(full())).changes


@given(
    before=st.fixed_dictionaries(
        {"attempts": st.integers(1, 3), "margin": st.sampled_from([0.0, 0.01])}
    ),
    now=st.fixed_dictionaries(
        {"attempts": st.integers(1, 3), "margin": st.sampled_from([0.0, 0.01])}
    ),
)
def test_a_line_for_each_difference_and_none_without(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    stored, given_ = full(), full()
    stored["study"] |= before
    given_["study"] |= now
    found = reconcile(record_of(parse_study_file(stored)), parse_study_file(given_))
    assert len(found.changes) == sum(before[key] != now[key] for key in before)
    assert (found.update is None) == (before == now)
    assert found.file == parse_study_file(given_)  # the last launch wins


# before base and data are loaded


def test_a_study_is_reconciled_early(engine: Engine) -> None:
    file = parse_study_file(full())
    assert find_reconciled(engine, file) == file  # it is not there yet
    begin(engine, {4: 40, 7: 80, 13: 60}, file.study.name, file=file.plain())
    assert find_reconciled(engine, without("base.revision")) == file
    other = changed("study.name", "other")
    assert find_reconciled(engine, other) == other
    with pytest.raises(InputError, match=r"began with another file: study\.seed "):
        find_reconciled(engine, changed("study.seed", 13))


def test_a_store_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    engine = connect(parse_url(f"sqlite:///{tmp_path}/later.db"))
    file = parse_study_file(full())
    assert find_reconciled(engine, file) == file
    engine.dispose()
    assert not (tmp_path / "later.db").exists()
