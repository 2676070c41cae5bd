"""Fixtures that tests of evaluators share."""

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import retrieval

QUERIES = 12
"""Queries of each task in the small world; each has one answer, and that a twin."""
OTHERS = 16
"""Documents of each task in the small world that are neither an answer nor its twin."""


@pytest.fixture(scope="session", autouse=True)
def _cheap_collections() -> None:
    """Spare garbage collections all that is imported: an evaluator runs one after each trial."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the library's cache in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        cache = str(tmp_path_factory.mktemp("datasets"))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
        yield


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def small_toy(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy base beside a small part of its world, where a trial takes a tenth of the time."""
    folder = tmp_path_factory.mktemp("small-toy")
    (folder / "base").symlink_to(toy / "base")
    _write(folder / "train.jsonl", _rows(toy / "train.jsonl")[:600])

    # not called test: the library's cache knows a local data set by its name, not by its files
    for qrels in sorted((toy / "test" / "qrels").iterdir()):
        _write_part(qrels.stem, toy / "test", folder / retrieval.SMALL)
    shutil.copy(toy / "test" / "README.md", folder / retrieval.SMALL)
    return folder


def _write_part(task: str, whole: Path, part: Path) -> None:
    """Write the first queries of one task, their answers with twins, and some other documents."""
    qrels = _rows(whole / "qrels" / f"{task}.jsonl")
    # documents are numbered: the answers of all queries, then their twins, then all others
    total, answers = len(qrels), {int(row["corpus-id"][1:]) for row in qrels[:QUERIES]}
    numbers = {
        *answers,
        *(number + total for number in answers),
        *range(2 * total, 2 * total + OTHERS),
    }
    names = {f"d{number}" for number in numbers} | {row["query-id"] for row in qrels[:QUERIES]}

    _write(part / "qrels" / f"{task}.jsonl", qrels[:QUERIES])
    for config in ("queries", "corpus"):
        rows = _rows(whole / config / f"{task}.jsonl")
        _write(part / config / f"{task}.jsonl", [row for row in rows if row["_id"] in names])


@pytest.fixture(scope="session")
def untrained(small_toy: Path) -> RetrievalEvaluator:
    """An evaluator that scores cut models as they are."""
    return retrieval.build(small_toy)


@pytest.fixture(scope="session")
def trained(small_toy: Path) -> RetrievalEvaluator:
    """An evaluator that trains each cut model for twelve steps."""
    return retrieval.build(small_toy, {"steps": 12, "learning_rate": 2e-3})


@pytest.fixture(scope="session")
def toy_words(toy: Path) -> list[str]:
    """Words of the toy world."""
    words = json.loads((toy / "base" / "tokenizer.json").read_text())["model"]["vocab"]
    return [word for word in words if not word.startswith("[")]
