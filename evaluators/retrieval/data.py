"""Training pairs and collections in NanoBEIR layout, loaded once per process."""

import hashlib
import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, get_dataset_split_names, load_dataset

from evaluators._errors import InputError, first_line
from evaluators.retrieval.options import EvaluationOptions, RetrievalOptions, TrainOptions

_FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_HUB_ID = r"[\w.-]+/[\w.-]+"

log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class Collection:
    """One retrieval task.

    Attributes:
        task: its name.
        queries: text of each query, by query id.
        corpus: text of each document, by document id.
        relevant: ids of the documents that answer a query, by query id.
        is_graded: whether its judgments have scores other than 1.
    """

    task: str
    queries: dict[str, str]
    corpus: dict[str, str]
    relevant: dict[str, set[str]]
    is_graded: bool = False


def locate(source: str, folder: Path, key: str) -> str:
    """Return the hub id or absolute local path that `source` means.

    A name that exists below `folder`, or is written like a path, is local; all else is a hub id.

    Args:
        source: the name in the study file.
        folder: folder that relative paths start from.
        key: key of the study file, for errors.

    Raises:
        InputError: a local path does not exist, or `source` is neither path nor hub id.
    """
    path = Path(folder, Path(source).expanduser())
    if path.exists():
        return str(path.resolve())

    if source.startswith((".", "/", "~")) or not re.fullmatch(_HUB_ID, source):
        message = f"{key}: no such file or folder: {path}"
        raise InputError(message)

    return source


def hub_hint(source: str) -> str:
    """Return a remark for errors about a name that was taken for a hub id; empty for a path."""
    return "" if Path(source).exists() else " (there is no such folder, so the hub was asked)"


def _cache_of(source: str) -> str | None:
    """Return a folder for the library's cache of a local folder; None for a hub id.

    The library knows a folder by its name and README, not by its path or its files: it would answer
    with data that it once read from another folder of that name, or before an edit. So each state
    of a folder has a cache of its own, which all workers of this machine share.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None

    state = [str(folder)]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            state += [str(path.relative_to(folder)), str(stat.st_size), str(stat.st_mtime_ns)]
    return str(Path(datasets.config.HF_DATASETS_CACHE) / f"layer-search-{_digest(state)[:16]}")


def training_pairs(options: RetrievalOptions, train: TrainOptions, folder: Path) -> Dataset:
    """Load the training data.

    Args:
        options: the batch size.
        train: data set and columns.
        folder: folder that relative paths start from.

    Returns:
        Columns `anchor`, `positive`, `negative_1`, ... in this order, with one text in each row.

    Raises:
        InputError: the data cannot be loaded, lacks a column, or cannot fill one batch.
    """
    source = locate(train.data, folder, "evaluator.train.data")
    pairs = _with_standard_columns(_load_training(train, source), train)

    for name in pairs.column_names:
        if not all(isinstance(text, str) and text for text in pairs[name]):
            message = f"{train.data}: column of {name!r} must hold a non-empty text in every row"
            raise InputError(message)

    if len(pairs) < options.batch_size:
        message = (
            f"{train.data} ({train.split}) has {len(pairs)} rows, too few for one batch of "
            f"{options.batch_size}: lower evaluator.batch_size"
        )
        raise InputError(message)

    return pairs


def _load_training(train: TrainOptions, source: str) -> Dataset:
    """Load the split that `train` names, from the hub or from a local file."""
    suffix = Path(source).suffix.lower()
    is_file = Path(source).is_file()
    if is_file and suffix not in _FORMATS:
        message = f"{source}: training data is read from {', '.join(_FORMATS)}"
        raise InputError(message)

    try:
        if is_file:
            return load_dataset(_FORMATS[suffix], data_files=source, split=train.split)

        return load_dataset(
            source,
            train.config,
            split=train.split,
            revision=train.revision,
            cache_dir=_cache_of(source),
        )
    except Exception as error:  # the library raises whatever its parts raise
        message = (
            f"evaluator.train: cannot load {train.data}, split {train.split!r} (a slice is written "
            f"train[:2000]){hub_hint(source)}: {first_line(error)}"
        )
        raise InputError(message) from error


def _with_standard_columns(data: Dataset, train: TrainOptions) -> Dataset:
    """Keep the columns that `train` names, under the names and in the order of the losses."""
    columns = {train.anchor: "anchor", train.positive: "positive"}
    columns |= {name: f"negative_{number}" for number, name in enumerate(train.negatives, 1)}

    if missing := [name for name in columns if name not in data.column_names]:
        found = ", ".join(data.column_names)
        message = f"evaluator.train: {train.data} has no column {missing[0]!r}, only {found}"
        raise InputError(message)

    if len(columns) != 2 + len(train.negatives):
        message = "evaluator.train: anchor, positive and negatives must be different columns"
        raise InputError(message)

    return data.select_columns(list(columns)).rename_columns(columns)


def collections(test: EvaluationOptions, folder: Path) -> list[Collection]:
    """Load the collections that `test` names, in its order.

    Queries and documents without text are left out, as NanoBEIR's own evaluator does. A judgment
    with a score of 0 or less is none, all others count alike.

    Args:
        test: data set and tasks.
        folder: folder that relative paths start from.

    Raises:
        InputError: the data cannot be loaded, or has no such task.
    """
    source = locate(test.data, folder, "evaluator.test.data")
    cache = _cache_of(source)
    splits = _task_names(source, test, cache)
    if unknown := [task for task in test.tasks if task not in splits]:
        there = ", ".join(splits)
        message = f"evaluator.test.tasks: {test.data} has no {unknown[0]!r}: it has {there}"
        raise InputError(message)

    found = [_load_collection(source, task, test, cache) for task in test.tasks or splits]
    if graded := ", ".join(collection.task for collection in found if collection.is_graded):
        log.warning(
            "judgments are graded: a score above 0 counts as relevant, no matter how high, and all "
            "others as not relevant, in %s",
            graded,
        )
    return found


def _task_names(source: str, test: EvaluationOptions, cache: str | None) -> list[str]:
    """Return the tasks of `source`."""
    try:
        names: list[str] = get_dataset_split_names(
            source, "queries", revision=test.revision, cache_dir=cache
        )
    except Exception as error:  # the library raises whatever its parts raise
        message = (
            f"{test.data} is not in NanoBEIR layout (configs corpus, queries, qrels; "
            f"one split per task){hub_hint(source)}: {first_line(error)}"
        )
        raise InputError(message) from error
    return names


def _load_collection(
    source: str, task: str, test: EvaluationOptions, cache: str | None
) -> Collection:
    """Load one task of `source`."""

    def rows(config: str, *columns: str, **defaults: object) -> list[tuple[Any, ...]]:
        try:
            split = load_dataset(
                source, config, split=task, revision=test.revision, cache_dir=cache
            )
            for name in defaults.keys() - set(split.column_names):
                split = split.add_column(name, [defaults[name]] * len(split))

            return list(zip(*(split[name] for name in (*columns, *defaults)), strict=True))
        except Exception as error:  # the library raises whatever its parts raise
            message = f"cannot load {config} of task {task} from {test.data}: {first_line(error)}"
            raise InputError(message) from error

    relevant: dict[str, set[str]] = {}
    grades: set[float] = set()
    for query, documents, score in rows("qrels", "query-id", "corpus-id", score=1):
        grade = _grade(score, task)
        grades.add(grade)
        if grade > 0:
            ids = [documents] if isinstance(documents, str) else documents
            relevant.setdefault(query, set()).update(ids)

    return Collection(
        task,
        {name: text for name, text in rows("queries", "_id", "text") if text},
        {name: text for name, text in rows("corpus", "_id", "text") if text},
        relevant,
        is_graded=not grades <= {1},
    )


def _grade(score: object, task: str) -> float:
    """Return the score of a judgment, which some data sets hold as text."""
    try:
        grade = float(score)  # type: ignore[arg-type]  # whatever the column holds
    except (TypeError, ValueError):
        grade = math.nan

    if math.isnan(grade):
        message = f"qrels of task {task}: the score of a judgment is a number, not {score!r}"
        raise InputError(message)
    return grade


def fingerprint_pairs(pairs: Dataset) -> str:
    """Return the SHA-256 over all texts of the training data, in order."""
    return _digest(
        text for rows in pairs.iter(batch_size=1024) for texts in rows.values() for text in texts
    )


def fingerprint_collections(found: Iterable[Collection]) -> str:
    """Return the SHA-256 over all texts and judgments of the collections."""

    def texts() -> Iterator[str]:
        for collection in found:
            yield collection.task

            for part in (collection.queries, collection.corpus):
                for name, text in part.items():
                    yield from (name, text)

            for name, ids in sorted(collection.relevant.items()):
                yield from (name, *sorted(ids))

    return _digest(texts())


def _digest(texts: Iterable[str]) -> str:
    """Return the SHA-256 over texts; their lengths are part of it, so that none run together."""
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
