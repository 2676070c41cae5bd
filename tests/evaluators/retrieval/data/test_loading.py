"""All data of an evaluator: what does not fit is refused, and code beside it is not run."""

import shutil
from pathlib import Path

import pytest

import evaluators
from evaluators.retrieval.data import find_sets, fingerprint_collections, load_sets
from evaluators.retrieval.options import EvaluationOptions
from tests.support import bases, retrieval


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1, "train": {"data": "./nowhere.jsonl"}}, "evaluator.train.data: no such file"),
        ({"steps": 1, "train": {"data": "train.jsonl", "anchor": "query"}}, "no column 'query'"),
        (
            {"steps": 1, "train": {"data": "train.jsonl", "split": "test"}},
            "evaluator.train: cannot load train.jsonl, split 'test'",
        ),
        ({"steps": 1, "batch_size": 9999}, "too few for one batch"),
        ({"steps": 1, "train": {"data": "train.jsonl", "positive": "anchor"}}, "different columns"),
        ({"test": {"data": "base"}}, "base is no set of collections: it has neither a README.md "),
        ({"test": {"data": "train.jsonl"}}, "train.jsonl is no set of collections: it has neither"),
        ({"test": {"data": "near/tset"}}, r"\(there is no such folder, so the hub was asked\): "),
        (
            {"test": {"data": "small", "tasks": ["NanoX"]}},
            "evaluator.test.tasks: small has no 'NanoX': it has ToyThings",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(
    options: dict[str, object], message: str, small_toy: Path
) -> None:
    test = {"data": retrieval.SMALL, "tasks": ["ToyThings"]}

    with pytest.raises(evaluators.InputError, match=message):
        retrieval.build(small_toy, {"test": test, **options})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"anchor": "a", "positive": ""}\n', "non-empty text"),
        ('{"anchor": "a", "positive": null}\n', "non-empty text"),
    ],
)
def test_training_rows_without_text_are_refused(
    rows: str, message: str, small_toy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(rows + '{"anchor": "b", "positive": "c"}\n' * 40, encoding="utf-8")

    with pytest.raises(evaluators.InputError, match=message):
        retrieval.build(small_toy, {"steps": 1, "train": {"data": str(path)}})


def test_a_data_set_with_a_script_is_refused(small_toy: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    shutil.copytree(small_toy / retrieval.SMALL, tmp_path / "data")
    script = bases.MARKING.format(marker=str(marker))
    (tmp_path / "data" / "data.py").write_text(script, encoding="utf-8")

    with pytest.raises(evaluators.InputError, match="scripts are no longer supported"):
        retrieval.build(small_toy, {"test": {"data": str(tmp_path / "data")}})
    assert not marker.exists()


def test_an_edited_local_folder_is_read_anew(small_toy: Path, tmp_path: Path) -> None:
    """Also another folder of the same name: the library's own cache knows only name and README."""
    found = []
    for number in range(2):
        folder = tmp_path / str(number) / retrieval.SMALL
        shutil.copytree(small_toy / retrieval.SMALL, folder)
        path = folder / "corpus" / "ToyThings.jsonl"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(" the ", f" the{number} "), encoding="utf-8")

        options = EvaluationOptions(data=str(folder), tasks=("ToyThings",))
        sets = find_sets([options], tmp_path, "evaluator.test")
        found.append(fingerprint_collections(load_sets(sets)))

    assert found[0] != found[1]
