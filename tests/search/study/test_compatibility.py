"""Whether a study file and a machine are the ones that a study began with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import evaluators
from search.errors import InputError
from search.study.compatibility import (
    find_drift,
    require_same_file,
    require_same_machine,
    require_unchanged,
)
from search.study.file import StudyFile, parse_study_file
from storage.database import connect, parse_url
from storage.studies import StudyRecord
from tests.support.stores import begin
from tests.support.study_files import change, full, record_of

BASE = evaluators.Description(
    "mmBERT-small",
    22,
    3,
    fingerprints={"base": "f" * 64, "test": "a" * 64},
    versions={"torch": "2.13.0", "transformers": "5.23.1"},
)
HERE = "restore the file and set the budget with `launch --trials`, or give it a new name"
NEW = "give the changed study a new name"


@pytest.fixture
def study() -> StudyRecord:
    """The study of the full study file, begun on the machine `BASE`."""
    file = parse_study_file(full())
    return record_of(file, fingerprints=BASE.fingerprints, versions=BASE.versions)


def changed(key: str, value: object) -> StudyFile:
    """Return the full study file with another value for one key."""
    return parse_study_file(change(key, value))


# the file


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("study.seed", 13, "study.seed (stored: 12, in the file: 13)"),
        ("space.pinned", [], "space.pinned (stored: [18], in the file: [])"),
        ("evaluator.train.positive", "x", "evaluator.train.positive (stored: 'hit', in the "),
        ("base.revision", "new", "base.revision (stored: 'abc123', in the file: 'new')"),
    ],
)
def test_another_file_is_refused(study: StudyRecord, key: str, value: object, said: str) -> None:
    require_same_file(study, parse_study_file(full()))
    with pytest.raises(InputError) as caught:
        require_same_file(study, changed(key, value))
    message = str(caught.value)
    assert message.startswith(f"study 'mmbert-small.v1' began with another file: {said}")
    assert message.endswith(f"; {NEW}")


def test_another_budget_is_set_otherwise(study: StudyRecord) -> None:
    with pytest.raises(InputError) as caught:
        require_same_file(study, changed("study.trials", {"4": 41, "7": 80, "13": 60}))
    said = "study.trials.4 (stored: 40, in the file: 41)"
    assert str(caught.value) == (f"study 'mmbert-small.v1' began with another file: {said}; {HERE}")
    with pytest.raises(InputError) as caught:
        require_same_file(study, changed("study.trials", 50))
    assert "study.trials (stored: None, in the file: 50); " in str(caught.value)
    assert "study.trials.13 (stored: 60, in the file: None); " in str(caught.value)
    assert str(caught.value).endswith(HERE)


def test_every_difference_is_named(study: StudyRecord) -> None:
    data = change("study.seed", 13)
    data["study"]["trials"] = {"4": 41, "7": 80, "13": 60}
    with pytest.raises(InputError) as caught:
        require_same_file(study, parse_study_file(data))
    message = str(caught.value)
    assert "study.seed (stored: 12, in the file: 13); study.trials.4 (stored: " in message
    assert message.endswith(NEW)  # more than the budget differs


def test_keys_that_came_with_a_later_release_count_with_their_defaults() -> None:
    """A file that an older release stored lacks them."""
    file = parse_study_file(full())
    plain = file.plain()
    del plain["screen"], plain["study"]["replicates"]
    study = replace(record_of(file), file=plain)

    data = full()
    del data["screen"], data["study"]["replicates"]
    require_same_file(study, parse_study_file(data))
    with pytest.raises(InputError, match=r"screen\.queries \(stored: 10, in the file: 5\)"):
        require_same_file(study, file)


def test_one_of_several_test_sets_is_named() -> None:
    data = full()
    data["evaluator"]["test"] = [{"data": "a/one"}, {"data": "a/other", "weight": 2.0}]
    study = record_of(parse_study_file(data))
    require_same_file(study, parse_study_file(data))

    data["evaluator"]["test"][1] = {"data": "a/other"}
    with pytest.raises(InputError) as caught:
        require_same_file(study, parse_study_file(data))
    said = "evaluator.test[2].weight (stored: 2.0, in the file: None); "
    assert f"began with another file: {said}" in str(caught.value)


def test_one_table_and_a_list_of_one_are_the_same_file(study: StudyRecord) -> None:
    data = full()
    data["evaluator"]["test"] = [data["evaluator"]["test"]]
    data["evaluator"]["heldout"] = [data["evaluator"]["heldout"]]
    require_same_file(study, parse_study_file(data))


# before base and data are loaded


def test_only_a_changed_study_is_refused_early(engine: Engine) -> None:
    file = parse_study_file(full())
    require_unchanged(engine, file)  # it is not there yet
    begin(engine, {4: 40, 7: 80, 13: 60}, file.study.name, file=file.plain())
    require_unchanged(engine, file)
    require_unchanged(engine, changed("study.name", "other"))
    with pytest.raises(InputError, match=r"began with another file: study\.seed "):
        require_unchanged(engine, changed("study.seed", 13))


def test_a_store_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    engine = connect(parse_url(f"sqlite:///{tmp_path}/later.db"))
    require_unchanged(engine, parse_study_file(full()))
    engine.dispose()
    assert not (tmp_path / "later.db").exists()


# the machine


def test_the_same_machine_has_no_drift(study: StudyRecord) -> None:
    assert find_drift(study, BASE) is None
    require_same_machine(study, BASE)


@pytest.mark.parametrize(
    ("fingerprints", "versions", "drift"),
    [
        ({"base": "0"}, {}, "other content of base"),
        ({"base": "0", "test": "0"}, {}, "other content of base; other content of test"),
        ({"train": "0"}, {}, "other content of train"),  # it was not there
        ({}, {"torch": "3.0.0"}, "torch 3.0.0 (it began with 2.13.0)"),
        (
            {"test": "0"},
            {"torch": "1.9"},
            "other content of test; torch 1.9 (it began with 2.13.0)",
        ),
        ({}, {"torch": "2.99.1", "transformers": "5.0"}, None),  # the first number counts alone
        ({}, {"sentence-transformers": "6.2"}, None),  # unknown when it began
    ],
)
def test_drift_names_every_difference(
    study: StudyRecord, fingerprints: dict[str, str], versions: dict[str, str], drift: str | None
) -> None:
    here = replace(
        BASE,
        fingerprints={**BASE.fingerprints, **fingerprints},
        versions={**BASE.versions, **versions},
    )
    assert find_drift(study, here) == drift
    if drift is None:
        require_same_machine(study, here)
        return

    with pytest.raises(InputError) as caught:
        require_same_machine(study, here)
    assert str(caught.value).startswith(
        "study 'mmbert-small.v1' began with something else than this machine has: "
        f"{drift}. Scores would not compare: "
    )
    assert "--accept-drift" in str(caught.value)


@pytest.mark.parametrize(
    ("rhythm", "drift"),
    [
        ({"phase": "last"}, "of period 3, last global"),
        ({"period": 6}, "of period 6, first global"),
        ({"period": None}, "none"),
    ],
)
def test_another_rhythm_is_drift(study: StudyRecord, rhythm: dict[str, Any], drift: str) -> None:
    """A later release may find a rhythm where an earlier one found none."""
    assert find_drift(study, replace(BASE, **rhythm)) == (
        f"attention rhythm {drift} (it began with of period 3, first global)"
    )


def test_the_phase_of_no_rhythm_is_no_drift() -> None:
    study = record_of(parse_study_file(full()), period=None)
    here = evaluators.Description("x", 22, None, "last")
    assert find_drift(study, here) is None


def test_data_that_are_gone_differ(study: StudyRecord) -> None:
    here = replace(BASE, fingerprints={"base": BASE.fingerprints["base"]}, versions={})
    assert find_drift(study, here) == "other content of test"


@pytest.mark.parametrize(
    ("began", "here", "drift"),
    [
        ({"heldout": "a"}, {"heldout": "a"}, None),
        ({"heldout": "a"}, {"heldout": "b"}, "other content of heldout"),
        ({}, {"heldout": "b"}, None),
        ({"heldout": "a"}, {}, None),
    ],
)
def test_held_out_sets_are_compared_where_both_have_some(
    study: StudyRecord, began: dict[str, str], here: dict[str, str], drift: str | None
) -> None:
    record = replace(study, fingerprints={**study.fingerprints, **began})
    machine = replace(BASE, fingerprints={**BASE.fingerprints, **here})
    assert find_drift(record, machine) == drift
