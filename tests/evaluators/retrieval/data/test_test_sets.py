"""Several test sets: their names, the names of their tasks, and the share of each task."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from evaluators.retrieval.data import Collection, find_sets, load_sets
from evaluators.retrieval.data.folders import FolderSet
from evaluators.retrieval.data.test_sets import FoundSet, shares_of_tasks
from evaluators.retrieval.options import EvaluationOptions, name_sets
from tests.support.data_files import make_task, write_set

LETTERS = st.characters(exclude_categories=("Cc", "Cs"))
"""All characters but control characters, which no name of data has."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sets: `en` of tasks A, B, C, and `ja` of tasks A and D."""
    write_set(tmp_path / "en", {task: make_task(f"en {task}") for task in "ABC"})
    write_set(tmp_path / "ja", {task: make_task(f"ja {task}") for task in "AD"})
    return tmp_path


def load(folder: Path, *sets: EvaluationOptions) -> list[Collection]:
    """Return the collections of some sets."""
    return load_sets(find_sets(sets, folder, "evaluator.test"))


# names


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (["sentence-transformers/NanoBEIR-en"], ["NanoBEIR-en"]),
        (["./test", "/data/other/"], ["test", "other"]),
        (["a/x", "b/x", "c/x"], ["x", "x-2", "x-3"]),
        (["../my set (new)", "."], ["my-set-new", "set"]),
        (["été/テスト"], ["set"]),
        (["y" * 300], ["y" * 95]),
    ],
)
def test_a_set_is_called_by_the_last_part_of_its_data(data: list[str], names: list[str]) -> None:
    assert list(name_sets([EvaluationOptions(data=one) for one in data])) == names


def test_a_given_name_is_kept_for_its_set() -> None:
    sets = [EvaluationOptions(data="a/x"), EvaluationOptions(data="b/y", name="x")]
    assert list(name_sets(sets).items()) == [("x-2", sets[0]), ("x", sets[1])]


@given(st.lists(st.text(LETTERS, min_size=1, max_size=120), max_size=6))
def test_names_are_safe_and_differ(data: list[str]) -> None:
    sets = [EvaluationOptions(data=one) for one in data]
    names = name_sets(sets)
    assert len(names) == len(sets)
    for name in names:
        assert EvaluationOptions(name=name).name == name  # or the check of a given name refuses it


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("queries", {"_id": "q" * 1001}, "queries of task A: 'qqq.* is no id: .* 1000 bytes"),
        ("queries", {"_id": "q\0"}, r"queries of task A: 'q\\x00' is no id: .*control character"),
        ("queries", {"_id": ""}, "queries of task A: '' is no id: it is empty"),
        ("queries", {"_id": "\ud800"}, "queries of task A: .* is no id: .*control character"),
        ("corpus", {"_id": "d" * 1001}, "corpus of task A: 'ddd.* is no id: .* 1000 bytes"),
        ("corpus", {"text": "a \ud800"}, "corpus of task A: the text of 'd0' has halves of"),
        ("qrels", {"query-id": "q" * 1001}, "A: 'qqq.* is no id: .* 1000 bytes"),
        ("qrels", {"score": 10**400}, "qrels of task A: the score of a judgment is a number, not"),
    ],
)
def test_rows_that_the_store_could_not_keep_are_refused(
    part: str, values: dict[str, object], message: str, tmp_path: Path
) -> None:
    parts = {name: [dict(row) for row in rows] for name, rows in make_task().items()}
    parts[part][0] |= values
    write_set(tmp_path / "set", {"A": parts})
    with pytest.raises(evaluators.InputError, match=message):
        load(tmp_path, EvaluationOptions(data="set"))


def test_a_task_whose_name_the_store_could_not_keep_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"A\x1b[31m": make_task()})
    with pytest.raises(evaluators.InputError, match=r"is no name of a task: .*control character"):
        load(tmp_path, EvaluationOptions(data="set"))


def test_only_tasks_of_the_same_name_bear_that_of_their_set(folder: Path) -> None:
    found = load(folder, EvaluationOptions(data="en"), EvaluationOptions(data="ja", name="jp"))
    assert [one.task for one in found] == ["en/A", "B", "C", "jp/A", "D"]
    assert [one.test_set for one in found] == ["en", "en", "en", "jp", "jp"]
    assert found[3].queries["q0"] == "where is ja A 0"


def test_one_set_has_its_tasks_under_their_own_names(folder: Path) -> None:
    found = load(folder, EvaluationOptions(data="ja", weight=3.0))
    assert [(one.task, one.test_set, one.share) for one in found] == [
        ("A", "ja", 0.5),
        ("D", "ja", 0.5),
    ]


# shares


def test_sets_count_alike_however_many_tasks_they_have(folder: Path) -> None:
    found = load(folder, EvaluationOptions(data="en"), EvaluationOptions(data="ja"))
    assert [one.share for one in found] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 4, 1 / 4])


def test_weights_divide_the_mean(folder: Path) -> None:
    sets = EvaluationOptions(data="en", weight=3.0, tasks=("A", "C")), EvaluationOptions(data="ja")
    found = load(folder, *sets)
    assert [one.share for one in found] == [3 / 8, 3 / 8, 1 / 8, 1 / 8]


def found_set(number: int, weight: float, tasks: int) -> FoundSet:
    """Return a set with a number of tasks."""
    reader = FolderSet(Path(), {}, has_titles=False)
    return FoundSet(f"s{number}", "d", "d", [f"t{task}" for task in range(tasks)], reader, weight)


@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(1, 5)), min_size=1, max_size=5))
def test_shares_are_those_of_a_mean_of_means(sets: list[tuple[float, int]]) -> None:
    found = [found_set(number, *one) for number, one in enumerate(sets)]
    shares = shares_of_tasks(found)
    assert math.fsum(share * tasks for share, (_, tasks) in zip(shares, sets, strict=True)) == (
        pytest.approx(1)
    )

    scores = [
        [1 / (number + place + 1) for place in range(n)] for number, (_, n) in enumerate(sets)
    ]
    total = math.fsum(weight for weight, _ in sets)
    expected = math.fsum(
        weight * math.fsum(own) / len(own) for (weight, _), own in zip(sets, scores, strict=True)
    )
    mean = math.fsum(share * math.fsum(own) for share, own in zip(shares, scores, strict=True))
    assert mean == pytest.approx(expected / total)


# mistakes


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            [{"data": "en"}, {"data": "./en", "tasks": ("B",)}],
            "evaluator.test: two sets have task B of en: keep it in one",
        ),
        ([{"data": "en", "tasks": ("X",)}], "evaluator.test.tasks: en has no 'X': it has A, B, C"),
        ([{"data": "./fr"}], "evaluator.test.data: no such file or folder: "),
    ],
)
def test_sets_that_do_not_fit_are_refused(
    sets: list[dict[str, object]], message: str, folder: Path
) -> None:
    with pytest.raises(evaluators.InputError, match=message):
        load(folder, *(EvaluationOptions.model_validate(one) for one in sets))


def test_a_task_named_twice_counts_once(folder: Path) -> None:
    found = load(folder, EvaluationOptions(data="en", tasks=("B", "B", "A")))
    assert [(one.task, one.share) for one in found] == [("B", 0.5), ("A", 0.5)]
