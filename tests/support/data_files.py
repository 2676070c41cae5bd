"""Tiny data files of every format, and folders of collections made of them."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

Rows = Sequence[Mapping[str, Any]]
"""Rows of a data file, by column."""
Parts = Mapping[str, Rows]
"""Rows of each part of a task: `queries`, `corpus`, `qrels`."""

TEXTS = ("a red fox", "a blue whale", "no animal", "two\nlines, and a comma", "null")
"""Texts of documents, some of which a careless reader would change."""


def make_task(word: str = "fox", queries: int = 2) -> Parts:
    """Return a task in which document `dN` answers query `qN`.

    Args:
        word: part of every query, so that tasks have other queries.
        queries: number of queries, at most 5.
    """
    return {
        "queries": [{"_id": f"q{n}", "text": f"where is {word} {n}"} for n in range(queries)],
        "corpus": [{"_id": f"d{n}", "text": text} for n, text in enumerate(TEXTS)],
        "qrels": [{"query-id": f"q{n}", "corpus-id": f"d{n}"} for n in range(queries)],
    }


def write_rows(path: Path, rows: Rows) -> None:
    """Write rows in the format that the name of the file says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        parquet.write_table(pa.Table.from_pylist(list(rows)), path)
        return

    text = _as_text(name, rows)
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


def _as_text(name: str, rows: Rows) -> str:
    """Return rows in a text format."""
    if name.endswith(".jsonl"):
        return "".join(f"{json.dumps(row)}\n" for row in rows)
    if name.endswith(".json"):
        return json.dumps(list(rows), indent=1)

    file = io.StringIO()
    separator = "\t" if name.endswith(".tsv") else ","
    writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_set(folder: Path, tasks: Mapping[str, Parts], suffix: str = "jsonl") -> Path:
    """Write a set in NanoBEIR's layout without a README, and return its folder."""
    for task, parts in tasks.items():
        for part, rows in parts.items():
            write_rows(folder / part / f"{task}.{suffix}", rows)
    return folder


def write_beir(folder: Path, parts: Parts, suffix: str = "jsonl") -> Path:
    """Write a task in BEIR's layout, and return its folder."""
    write_rows(folder / f"corpus.{suffix}", parts["corpus"])
    write_rows(folder / f"queries.{suffix}", parts["queries"])
    write_rows(folder / "qrels" / "test.tsv", parts["qrels"])
    return folder
