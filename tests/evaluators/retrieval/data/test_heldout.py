"""Held-out sets: loaded and fingerprinted, kept from trials, and apart from the test sets."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from evaluators.retrieval import Options
from evaluators.retrieval.data import LoadedData, heldout_collections
from evaluators.retrieval.data.heldout import fold
from tests.support.data_files import Parts, make_task, write_set


def asking(*texts: str) -> Parts:
    """Return a task with these queries."""
    return {
        "queries": [{"_id": f"q{number}", "text": text} for number, text in enumerate(texts)],
        "corpus": make_task()["corpus"],
        "qrels": [{"query-id": f"q{number}", "corpus-id": "d0"} for number in range(len(texts))],
    }


def load(folder: Path, heldout: object, test: object = None) -> LoadedData:
    """Return the data of an evaluator that trains nothing."""
    keys = {"steps": 0, "test": test or [{"data": "seen"}], "heldout": heldout}
    return LoadedData.load(options(keys), folder)


def options(keys: Mapping[str, object]) -> Options:
    """Return the options of an evaluator."""
    import json

    return Options.model_validate_json(json.dumps(keys))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the set `seen`, and a set `unseen` of other queries."""
    write_set(tmp_path / "seen", {"A": asking("Where is the fox?", "And the owl?")})
    write_set(tmp_path / "unseen", {"A": asking("Who is it?"), "B": asking("Why?", "When?")})
    return tmp_path


def test_held_out_sets_have_a_fingerprint_and_are_not_kept(folder: Path) -> None:
    without, found = load(folder, []), load(folder, {"data": "unseen"})
    assert set(found.fingerprints) == {"test", "heldout"}
    assert found.fingerprints["test"] == without.fingerprints["test"]
    assert found.collections == without.collections
    assert [one.test_set for one in found.collections] == ["seen"]


def test_the_fingerprint_follows_the_held_out_texts(folder: Path) -> None:
    before = load(folder, {"data": "unseen"}).fingerprints
    write_set(folder / "unseen", {"B": asking("Why?", "How?")})
    after = load(folder, {"data": "unseen"}).fingerprints
    assert before["test"] == after["test"]
    assert before["heldout"] != after["heldout"]


def test_held_out_collections_are_there_for_whoever_asks(folder: Path) -> None:
    keys = {"steps": 0, "test": {"data": "seen"}, "heldout": {"data": "unseen", "tasks": ["B"]}}
    (found,) = heldout_collections(options(keys), folder)
    assert (found.task, found.test_set) == ("B", "unseen")
    assert found.queries == {"q0": "Why?", "q1": "When?"}


@pytest.mark.parametrize(
    "text",
    [
        "Where is the fox?",
        "where IS the  fox?",
        " Where\tis\nthe fox? ",
        "\uff37here is the fox?",  # a wide W
    ],
)
def test_a_shared_query_is_refused(text: str, folder: Path) -> None:
    write_set(folder / "unseen", {"B": asking("Why?", text)})
    with pytest.raises(evaluators.InputError) as caught:
        load(folder, {"data": "unseen"})
    assert str(caught.value) == (
        "evaluator.heldout has queries of evaluator.test, 1 in all: 1 of set unseen, task B in set "
        f"seen, task A; the first is {text!r}: take them out of one of the sets"
    )


def test_all_pairs_of_sets_are_named_and_counted(folder: Path) -> None:
    write_set(folder / "more", {"A": asking("Why?", "When?", "And the owl?")})
    write_set(folder / "seen2", {"A": asking("Why?"), "C": asking("WHEN?")})
    with pytest.raises(evaluators.InputError) as caught:
        load(folder, {"data": "more"}, [{"data": "seen"}, {"data": "seen2"}])
    assert str(caught.value).startswith(
        "evaluator.heldout has queries of evaluator.test, 3 in all: "
        "1 of set more, task A in set seen2, task A; 1 of set more, task A in set seen2, task C; "
        "1 of set more, task A in set seen, task A; the first is 'Why?': "
    )


def test_queries_without_an_answer_do_not_count(folder: Path) -> None:
    parts = asking("Why?", "Where is the fox?")
    write_set(folder / "unseen", {"B": {**parts, "qrels": parts["qrels"][:1]}})
    assert "heldout" in load(folder, {"data": "unseen"}).fingerprints


def test_a_held_out_task_is_no_test_task(folder: Path) -> None:
    with pytest.raises(evaluators.InputError) as caught:
        load(folder, {"data": "./seen", "name": "again"})
    assert str(caught.value) == (
        "evaluator.heldout: task A of set again (./seen) is also a task of test set seen: "
        "take it out of one of them"
    )


def test_other_tasks_of_the_same_data_may_be_held_out(folder: Path) -> None:
    test = {"data": "unseen", "tasks": ["A"]}
    found = load(folder, {"data": "unseen", "tasks": ["B"]}, test)
    assert [one.task for one in found.collections] == ["A"]
    assert "heldout" in found.fingerprints


@given(st.text(max_size=20))
def test_folding_is_settled_after_one_pass(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(f"  {text.upper()}\n") == fold(text.upper())
