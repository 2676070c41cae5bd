"""Whether a machine has the base, data and libraries that a study began with."""

from dataclasses import replace
from typing import Any

import pytest

import evaluators
from search.errors import InputError
from search.study.compatibility import find_drift, require_same_machine
from search.study.file import parse_study_file
from storage.studies import StudyRecord
from tests.support.study_files import full, record_of

BASE = evaluators.Description(
    "mmBERT-small",
    22,
    3,
    fingerprints={"base": "f" * 64, "test": "a" * 64},
    versions={"torch": "2.13.0", "transformers": "5.23.1"},
)


@pytest.fixture
def study() -> StudyRecord:
    """The study of the full study file, begun on the machine `BASE`."""
    file = parse_study_file(full())
    return record_of(file, fingerprints=BASE.fingerprints, versions=BASE.versions)


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
