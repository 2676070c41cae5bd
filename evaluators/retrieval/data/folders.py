"""Local folders of collections that no README configures: NanoBEIR's layout, and BEIR's.

NanoBEIR's has the folders `corpus`, `queries` and `qrels`, and in each of them for every task a
file `TASK.jsonl`, shards `TASK-00000-of-00002.parquet`, or a folder `TASK` of shards. BEIR's is one
task: the files `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`. All formats of `sources` do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators._errors import InputError
from evaluators.retrieval.data.rows import read_rows
from evaluators.retrieval.data.sources import (
    READ,
    entries,
    format_of,
    require_one_format,
    stem_of,
)

PARTS = ("queries", "corpus", "qrels")
"""The parts of a task."""

_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})")
_JUDGED = "test"  # the judgments of BEIR that are read, of train, dev and test

Files = Mapping[str, Sequence[Path]]
"""Files of one part, by task."""


@dataclass(frozen=True, slots=True)
class FolderSet:
    """A local folder of collections.

    Attributes:
        folder: the folder.
        files: its files by part and task.
        has_titles: whether documents may have a title, which is put before their text.
    """

    folder: Path
    files: Mapping[str, Files]
    has_titles: bool

    @classmethod
    def find(cls, folder: Path) -> "FolderSet":
        """Return the collections of a folder; nothing is read yet.

        Raises:
            InputError: it has neither layout, lacks a part or a task of one, or has other files.
        """
        if any((folder / part).is_dir() for part in ("queries", "corpus")):
            files = {part: _tasks_of(folder / part) for part in PARTS}
            _require_same_tasks(folder, files)
            return cls(folder, files, has_titles=False)
        return cls(folder, _beir_files(folder), has_titles=True)

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, sorted."""
        return sorted(self.files["queries"])

    def read(self, part: str, task: str, *needed: str, **defaults: Any) -> Iterator[Sequence[Any]]:
        """Yield values of every row of one part.

        Args:
            part: one of `PARTS`.
            task: one of `tasks`.
            *needed: columns that must be there.
            **defaults: other columns, and the value where they are not.

        Raises:
            InputError: a file cannot be read, or lacks a column.
        """
        for path in self.files[part][task]:
            for place, row in read_rows(path):
                for name in needed:
                    if name not in row:
                        message = f"{place}: no column {name!r}, only {', '.join(row) or 'none'}"
                        raise InputError(message)
                yield [
                    *(row[name] for name in needed),
                    *(row.get(n, d) for n, d in defaults.items()),
                ]


def _tasks_of(part: Path) -> dict[str, list[Path]]:
    """Return the files of each task of one part in NanoBEIR's layout.

    Raises:
        InputError: the part is missing or empty, or the files of a task do not fit together.
    """
    if not part.is_dir():
        message = f"{part.parent} has no folder {part.name!r}: it needs {', '.join(PARTS)}"
        raise InputError(message)

    found: dict[str, list[Path]] = {}
    for path in entries(part):
        if path.is_dir():
            files = list(entries(path))
            require_one_format(files, path)
            task = path.name
        else:
            require_one_format([path], part)
            shard = _SHARD.fullmatch(stem_of(path))
            task, files = (shard[1] if shard else stem_of(path)), [path]
        found.setdefault(task, []).extend(files)

    if not found:
        message = f"{part} is empty: it is to hold a file or a folder for each task"
        raise InputError(message)
    for files in found.values():
        require_one_format(files, part)
        _require_whole(files)
    return found


def _require_whole(files: Sequence[Path]) -> None:
    """Refuse several files of a task unless they are its shards, all of them.

    Raises:
        InputError: they do not fit together; the message names one.
    """
    shards = [_SHARD.fullmatch(stem_of(path)) for path in files]
    if not any(shards):
        folders = {path.parent for path in files}
        if len(files) > 1 and (len(folders) > 1 or stem_of(files[0]) == stem_of(files[1])):
            message = f"{files[0]} and {files[1]} are two forms of one task: keep one of them"
            raise InputError(message)
        return

    wanted = {int(shard[2]) for shard in shards if shard}
    if not all(shards) or wanted != {len(files)}:
        message = f"{files[0]}: of {max(wanted)} shards there are {len(files)}"
        raise InputError(message)


def _require_same_tasks(folder: Path, files: Mapping[str, Files]) -> None:
    """Refuse a folder in which a part lacks a task that another has.

    Raises:
        InputError: one does; the message names both.
    """
    for task in sorted(set().union(*files.values())):
        for part in PARTS:
            if task not in files[part]:
                message = f"task {task} of {folder} has no {part}: {folder / part / task}.jsonl"
                raise InputError(message)


def _beir_files(folder: Path) -> dict[str, Files]:
    """Return the files of the one task of a folder in BEIR's layout.

    Raises:
        InputError: one of the parts is missing, or there are two forms of it.
    """
    judged = folder / "qrels"
    places = {"queries": (folder, "queries"), "corpus": (folder, "corpus")}
    places["qrels"] = (judged, _JUDGED)

    found = {
        part: [
            path
            for path in (entries(place) if place.is_dir() else ())
            if path.is_file() and stem_of(path) == stem and format_of(path)
        ]
        for part, (place, stem) in places.items()
    }
    if not found["queries"] and not found["corpus"]:
        message = (
            f"{folder} is no set of collections: it has neither a README.md with configurations, "
            f"nor the folders {', '.join(PARTS)}, nor BEIR's files corpus.jsonl and queries.jsonl"
        )
        raise InputError(message)

    for part, (place, stem) in places.items():
        if len(found[part]) != 1:
            there = " and ".join(path.name for path in found[part]) or "none"
            message = f"{place} should have one file {stem} of {READ}, and has {there}"
            raise InputError(message)
    return {part: {folder.name: paths} for part, paths in found.items()}
