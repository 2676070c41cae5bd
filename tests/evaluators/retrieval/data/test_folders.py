"""Local folders of collections without a README: which layouts are read, and what is refused."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import evaluators
from evaluators.retrieval.data import Collection, find_sets, load_sets
from evaluators.retrieval.data.folders import FolderSet
from evaluators.retrieval.options import EvaluationOptions
from tests.support.data_files import TEXTS, Parts, make_task, write_beir, write_rows, write_set

CORPUS = {f"d{number}": text for number, text in enumerate(TEXTS)}


def load(folder: Path) -> list[Collection]:
    """Return the collections of a folder."""
    options = EvaluationOptions(data=str(folder))
    return load_sets(find_sets([options], folder, "evaluator.test"))


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "json", "csv", "csv.gz", "tsv", "parquet"])
def test_nanobeirs_layout_is_read_in_every_format(suffix: str, tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"B": make_task("fox"), "A": make_task("owl")}, suffix)
    first, second = load(tmp_path / "set")

    assert (first.task, second.task) == ("A", "B")
    assert second.queries == {"q0": "where is fox 0", "q1": "where is fox 1"}
    assert second.corpus == CORPUS
    assert second.relevant == {"q0": {"d0"}, "q1": {"d1"}}
    assert not second.is_graded


def test_a_task_may_be_a_folder_of_shards_or_files_that_count_them(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"A": make_task()})
    whole = load(folder)

    rows = make_task()["corpus"]
    (folder / "corpus" / "A.jsonl").unlink()
    for number in range(2):
        write_rows(folder / "corpus" / "A" / f"part-{number}.parquet", rows[number::2])
    write_rows(folder / "queries" / "A-00000-of-00001.csv", make_task()["queries"])
    (folder / "queries" / "A.jsonl").unlink()
    (again,) = load(folder)

    assert again.corpus == whole[0].corpus
    assert again == whole[0]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_beirs_layout_is_one_task_with_titles(suffix: str, tmp_path: Path) -> None:
    parts: Parts = {
        "queries": make_task()["queries"],
        "corpus": [
            {"_id": 7, "title": "Fox", "text": "red"},
            {"_id": 8, "title": "", "text": "plain"},
            {"_id": 9, "title": None, "text": "bare"},
        ],
        "qrels": [{"query-id": "q0", "corpus-id": 7, "score": 2}],
    }
    write_beir(tmp_path / "scifact", parts, suffix)
    write_rows(tmp_path / "scifact" / "qrels" / "train.tsv", [{"query-id": "q1"}])
    (found,) = load(tmp_path / "scifact")

    assert (found.task, found.test_set, found.share) == ("scifact", "scifact", 1)
    assert found.corpus == {"7": "Fox red", "8": "plain", "9": "bare"}
    assert found.relevant == {"q0": {"7"}}
    assert found.is_graded


def test_readme_and_hidden_files_are_no_data(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"A": make_task()})
    for name in ("README.md", "corpus/.DS_Store", "queries/LICENSE"):
        (folder / name).write_text("# Data\n", encoding="utf-8")
    assert [one.task for one in load(folder)] == ["A"]


def test_a_readme_that_configures_the_data_decides(small_toy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "configured"
    shutil.copytree(small_toy / "small", folder)
    write_rows(folder / "corpus" / "Unlisted.jsonl", make_task()["corpus"])
    assert "Unlisted" not in {one.task for one in load(folder)}


def break_part(folder: Path) -> None:
    shutil.rmtree(folder / "qrels")


def break_task(folder: Path) -> None:
    (folder / "corpus" / "A.jsonl").unlink()
    write_rows(folder / "corpus" / "B.jsonl", make_task()["corpus"])


def empty_part(folder: Path) -> None:
    (folder / "corpus" / "A.jsonl").unlink()


def empty_shards(folder: Path) -> None:
    (folder / "corpus" / "A").mkdir()


def mixed_shards(folder: Path) -> None:
    empty_part(folder)
    for suffix in ("csv", "jsonl"):
        write_rows(folder / "corpus" / "A" / f"1.{suffix}", make_task()["corpus"])


def two_forms(folder: Path) -> None:
    write_rows(folder / "corpus" / "A.jsonl.gz", make_task()["corpus"])


def file_and_folder(folder: Path) -> None:
    write_rows(folder / "corpus" / "A" / "part.jsonl", make_task()["corpus"])


def lost_shard(folder: Path) -> None:
    empty_part(folder)
    write_rows(folder / "corpus" / "A-00000-of-00002.parquet", make_task()["corpus"])


def unknown_format(folder: Path) -> None:
    (folder / "corpus" / "A.xml").write_text("<a/>", encoding="utf-8")


def wrong_column(folder: Path) -> None:
    rows = [{"id": "d0", "text": "a"}]
    write_rows(folder / "corpus" / "A.jsonl", rows)


def wrong_text(folder: Path) -> None:
    write_rows(folder / "queries" / "A.jsonl", [{"_id": "q0", "text": ["a"]}])


def wrong_id(folder: Path) -> None:
    write_rows(folder / "queries" / "A.jsonl", [{"_id": None, "text": "a"}])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (break_part, "set has no folder 'qrels': it needs queries, corpus, qrels"),
        (break_task, "task A of .*set has no corpus: .*corpus/A.jsonl"),
        (empty_part, "corpus is empty: it is to hold a file or a folder for each task"),
        (empty_shards, "corpus/A holds no data: it is to hold .jsonl, "),
        (mixed_shards, "corpus/A mixes formats, as in 1.csv and 1.jsonl: keep the files of one "),
        (two_forms, "A.jsonl and .*A.jsonl.gz are two forms of one task: keep one of them"),
        (file_and_folder, "are two forms of one task: keep one of them"),
        (lost_shard, "A-00000-of-00002.parquet: of 2 shards there are 1"),
        (unknown_format, "A.xml is no data file: data are read from .jsonl, "),
        (wrong_column, r"corpus/A.jsonl, line 1: no column '_id', only id, text"),
        (wrong_text, r"queries of task A: text is to be a text, not \"\['a'\]\""),
        (wrong_id, "queries of task A: an id is a text or an integer, not 'None'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = write_set(tmp_path / "set", {"A": make_task()})
    spoil(folder)
    with pytest.raises(evaluators.InputError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_beirs_layout_needs_all_its_files(lost: str, tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "one", make_task())
    (folder / lost).unlink()
    stem = re.sub(r".*/|\..*", "", lost)
    with pytest.raises(evaluators.InputError, match=f"should have one file {stem} of .*has none"):
        FolderSet.find(folder)
