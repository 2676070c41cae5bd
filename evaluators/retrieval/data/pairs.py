"""Training pairs and triplets, with the columns that the losses expect."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, load_dataset

from evaluators._errors import InputError, first_line
from evaluators.retrieval.data.rows import read_rows
from evaluators.retrieval.data.sources import (
    READ,
    cache_of,
    entries,
    format_of,
    hub_hint,
    is_configured,
    locate,
    require_one_format,
)
from evaluators.retrieval.options import RetrievalOptions, TrainOptions

_BUILDERS = {"jsonl": "json", "json": "json", "csv": "csv", "tsv": "csv", "parquet": "parquet"}
"""The library's builder of each format."""

log = logging.getLogger("layer-search")


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
    pairs = _with_standard_columns(_load(train, source), train)

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


def _load(train: TrainOptions, source: str) -> Dataset:
    """Load the split that `train` names, from the hub or from local files."""
    files, options = _local_files(Path(source)), {}
    if files and (kind := format_of(files[0])) in ("csv", "tsv"):
        options = _all_text(files[0]) | ({"sep": "\t"} if kind == "tsv" else {})
    try:
        if Path(source).is_file():
            builder = _BUILDERS[format_of(Path(source)) or ""]
            return load_dataset(builder, data_files=source, split=train.split, **options)

        return load_dataset(
            source,
            train.config,
            split=train.split,
            revision=train.revision,
            cache_dir=cache_of(source),
            **options,
        )
    except Exception as error:  # the library raises whatever its parts raise
        message = (
            f"evaluator.train: cannot load {train.data}, split {train.split!r} (a slice is written "
            f"train[:2000]){hub_hint(source)}: {first_line(error)}"
        )
        raise InputError(message) from error


def _local_files(source: Path) -> list[Path]:
    """Return the files of local data of one format; none where the library finds them by itself.

    Raises:
        InputError: they are of no format that is read, or of several.
    """
    if source.is_file():
        if format_of(source) is None:
            message = f"{source}: training data is read from {READ}"
            raise InputError(message)
        return [source]

    if not source.is_dir() or is_configured(source):
        return []
    files = list(_files_below(source))
    require_one_format(files, source)
    return files


def _all_text(path: Path) -> dict[str, Any]:
    """Return options by which the library reads separated values as text, as they stand.

    It would make numbers of texts such as "7", file by file, and nothing of one such as "null".
    """
    _, header = next(read_rows(path), ("", {}))
    features = Features({name: Value("string") for name in header})
    return {"keep_default_na": False} | ({"features": features} if header else {})


def _files_below(folder: Path) -> Iterable[Path]:
    """Yield the data files of a folder and its folders."""
    for path in entries(folder):
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _with_standard_columns(data: Dataset, train: TrainOptions) -> Dataset:
    """Keep the columns that `train` names, under the names and in the order of the losses."""
    named = [train.anchor, train.positive, *train.negatives]
    if missing := [name for name in named if name not in data.column_names]:
        found = ", ".join(data.column_names)
        message = f"evaluator.train: {train.data} has no column {missing[0]!r}, only {found}"
        raise InputError(message)

    if len(set(named)) != len(named):
        message = "evaluator.train: anchor, positive and negatives must be different columns"
        raise InputError(message)

    data = data.select_columns(named).rename_columns(
        {train.anchor: "anchor", train.positive: "positive"}
        | {name: f"negative_{number}" for number, name in enumerate(train.negatives, 1)}
    )
    lists = [name for name in train.negatives if isinstance(_feature(data, train, name), List)]
    if not lists:
        return data
    if len(train.negatives) > 1:
        message = (
            f"evaluator.train.negatives: column {lists[0]!r} holds lists: name it alone, or only "
            "columns that hold one text in each row"
        )
        raise InputError(message)
    return _spread_negatives(data, train)


def _feature(data: Dataset, train: TrainOptions, name: str) -> object:
    """Return the type of a column of negatives, which has its new name."""
    return data.features[f"negative_{train.negatives.index(name) + 1}"]


def _spread_negatives(data: Dataset, train: TrainOptions) -> Dataset:
    """Make a column of each place of a list of negatives, as far as the shortest list goes.

    Raises:
        InputError: a list is empty.
    """
    lists = list(data["negative_1"])
    lengths = [len(found or ()) for found in lists]
    if 0 in lengths:
        message = (
            f"{train.data} ({train.split}): row {lengths.index(0) + 1} has no negatives in column "
            f"{train.negatives[0]!r}: leave the row out, or give it one"
        )
        raise InputError(message)

    used, most = min(lengths, default=0), max(lengths, default=0)
    if used < most:
        log.warning(
            "%s: rows have %d to %d negatives, and the first %d of each are used",
            train.data,
            used,
            most,
            used,
        )

    data = data.remove_columns("negative_1")
    for place in range(used):
        data = data.add_column(f"negative_{place + 1}", [found[place] for found in lists])
    return data
