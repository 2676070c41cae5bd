"""Training pairs from files and folders, and negatives in lists."""

import itertools
import logging
from pathlib import Path

import pytest
from datasets import Dataset

import evaluators
from evaluators.retrieval import Options, TrainOptions
from evaluators.retrieval.data import training_pairs
from tests.support.data_files import Rows, write_rows

FEW = Options(steps=1, batch_size=2)
ROWS = [
    {"anchor": "fox", "positive": "a red fox", "miss": "a blue whale"},
    {"anchor": "none", "positive": "null", "miss": "NA"},
    {"anchor": "7", "positive": "two\nlines", "miss": "1"},
]
TRIPLET = ["anchor", "positive", "negative_1"]


def load(folder: Path, data: str, *negatives: str) -> Dataset:
    """Return the training data in `folder`."""
    return training_pairs(FEW, TrainOptions(data=data, negatives=negatives), folder)


def listed(*lengths: int) -> Rows:
    """Return rows whose column `misses` holds lists of these lengths."""
    return [
        {"anchor": f"a{row}", "positive": f"p{row}", "misses": [f"n{row}.{n}" for n in range(size)]}
        for row, size in enumerate(lengths)
    ]


# files and folders


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "json", "json.gz", "parquet"])
def test_a_file_is_read(suffix: str, tmp_path: Path) -> None:
    write_rows(tmp_path / f"train.{suffix}", ROWS)
    pairs = load(tmp_path, f"train.{suffix}", "miss")
    assert pairs.column_names == TRIPLET
    assert [list(row.values()) for row in pairs] == [list(row.values()) for row in ROWS]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv"])
def test_words_for_nothing_and_numbers_are_texts_in_csv(suffix: str, tmp_path: Path) -> None:
    write_rows(tmp_path / f"train.{suffix}", ROWS)
    pairs = load(tmp_path, f"train.{suffix}", "miss")
    assert [list(row.values()) for row in pairs] == [list(row.values()) for row in ROWS]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "tsv", "parquet"])
def test_a_folder_of_one_format_is_read(suffix: str, tmp_path: Path) -> None:
    for number, row in enumerate(ROWS):
        write_rows(
            tmp_path / "pairs" / f"part-{number}.{suffix}", [{**row, "anchor": f"a{number}"}]
        )
    (tmp_path / "pairs" / "README.md").write_text("# Pairs\n", encoding="utf-8")
    assert list(load(tmp_path, "pairs")["anchor"]) == ["a0", "a1", "a2"]


def test_an_edited_folder_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "pairs" / "part.jsonl"
    write_rows(path, ROWS)
    before = list(load(tmp_path, "pairs")["anchor"])
    write_rows(path, [*ROWS, {**ROWS[0], "anchor": "new"}])
    assert list(load(tmp_path, "pairs")["anchor"]) == [*before, "new"]


def test_files_named_after_splits_are_splits(tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs" / "train.jsonl", ROWS)
    write_rows(tmp_path / "pairs" / "test.jsonl", ROWS[:2])
    assert len(load(tmp_path, "pairs")) == 3
    assert len(training_pairs(FEW, TrainOptions(data="pairs", split="test"), tmp_path)) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jsonl", "b.csv"], "pairs mixes formats, as in a.jsonl and b.csv: keep the files of"),
        (["a.jsonl", "b/c.parquet"], "pairs mixes formats, as in a.jsonl and c.parquet"),
        (["a.jsonl", "b.zip"], "b.zip is no data file: data are read from .jsonl, "),
        (["README.md"], "pairs holds no data: it is to hold .jsonl, "),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    for name in names:
        path = tmp_path / "pairs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    with pytest.raises(evaluators.InputError, match=message):
        load(tmp_path, "pairs")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("x", encoding="utf-8")
    with pytest.raises(evaluators.InputError, match=r"train\.txt: training data is read from \.js"):
        load(tmp_path, "train.txt")


# lists of negatives


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_list_becomes_a_column_for_each_negative(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path / f"train.{suffix}", listed(2, 2, 2))
    pairs = load(tmp_path, f"train.{suffix}", "misses")
    assert pairs.column_names == ["anchor", "positive", "negative_1", "negative_2"]
    assert pairs[1] == {
        "anchor": "a1",
        "positive": "p1",
        "negative_1": "n1.0",
        "negative_2": "n1.1",
    }
    assert caplog.messages == []


def test_the_shortest_list_decides_how_many_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path / "train.jsonl", listed(3, 2, 5))
    with caplog.at_level(logging.WARNING):
        pairs = load(tmp_path, "train.jsonl", "misses")
    assert [list(pairs[f"negative_{n}"]) for n in (1, 2)] == [
        [f"n{row}.{place}" for row in range(3)] for place in range(2)
    ]
    assert pairs.num_columns == 4
    assert caplog.messages == [
        "train.jsonl: rows have 2 to 5 negatives, and the first 2 of each are used"
    ]


@pytest.mark.parametrize("empty", [[], None])
def test_a_row_without_negatives_is_refused_by_its_number(
    empty: list[str] | None, tmp_path: Path
) -> None:
    rows = [*listed(2, 2), {"anchor": "a", "positive": "p", "misses": empty}]
    write_rows(tmp_path / "train.jsonl", rows)
    with pytest.raises(evaluators.InputError, match="row 3 has no negatives in column 'misses': "):
        load(tmp_path, "train.jsonl", "misses")


@pytest.mark.parametrize("value", [None, 3, ""])
def test_a_list_of_something_else_is_refused(value: object, tmp_path: Path) -> None:
    values = itertools.repeat([value])
    rows = [{**row, "misses": given} for row, given in zip(ROWS, values, strict=False)]
    write_rows(tmp_path / "train.jsonl", rows)
    with pytest.raises(evaluators.InputError, match="'negative_1' must hold a non-empty text"):
        load(tmp_path, "train.jsonl", "misses")


def test_lists_stand_alone(tmp_path: Path) -> None:
    rows = [{**row, "miss": "m"} for row in listed(2, 2)]
    write_rows(tmp_path / "train.jsonl", rows)
    with pytest.raises(evaluators.InputError, match="column 'misses' holds lists: name it alone"):
        load(tmp_path, "train.jsonl", "miss", "misses")
