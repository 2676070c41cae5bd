"""Places and formats of data: hub ids and local paths, file names, the library's cache."""

import re
from collections.abc import Iterator
from pathlib import Path

import datasets

from evaluators._errors import InputError
from evaluators._files import local_path
from evaluators.retrieval.data.fingerprints import digest

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet")
"""Formats of data files, by their suffix; all but the last are text, and may be compressed."""
READ = ".jsonl, .json, .csv, .tsv (each also with .gz) and .parquet"
"""The file names that are read, in words."""

_HUB_ID = r"[\w.-]+/[\w.-]+"
_BESIDE_DATA = re.compile(r"\..*|(readme|license|notice|citation)(\..*)?", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\s", re.DOTALL)


def locate(source: str, folder: Path, key: str) -> str:
    """Return the hub id or absolute local path that `source` means.

    A name that exists below `folder`, or is written like a path, is local; all else is a hub id.

    Args:
        source: the name in the study file.
        folder: folder that relative paths start from.
        key: key of the study file, for errors.

    Raises:
        InputError: a local path does not exist or cannot be used, or `source` is neither path nor
            hub id.
    """
    path = local_path(source, folder, key)
    if path.exists():
        return str(path.resolve())

    if source.startswith((".", "/", "~")) or not re.fullmatch(_HUB_ID, source):
        message = f"{key}: no such file or folder: {path}"
        raise InputError(message)

    return source


def hub_hint(source: str) -> str:
    """Return a remark for errors about a name that was taken for a hub id; empty for a path."""
    return "" if Path(source).exists() else " (there is no such folder, so the hub was asked)"


def cache_of(source: str) -> str | None:
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
    return str(Path(datasets.config.HF_DATASETS_CACHE) / f"layer-search-{digest(state)[:16]}")


def format_of(path: Path) -> str | None:
    """Return the format of a data file by its name; None for a file that is not read."""
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    if suffix not in FORMATS or (suffix == "parquet" and name.endswith(".gz")):
        return None
    return suffix


def stem_of(path: Path) -> str:
    """Return the name of a data file without the suffixes of its format."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


def entries(folder: Path) -> Iterator[Path]:
    """Yield the files and folders of a folder by name, but hidden ones and papers beside data."""
    for path in sorted(folder.iterdir()):
        if not _BESIDE_DATA.fullmatch(path.name):
            yield path


def require_one_format(files: list[Path], folder: Path) -> str:
    """Return the one format of the data files of a folder.

    Raises:
        InputError: there is no file, one is of no format that is read, or formats are mixed.
    """
    if not files:
        message = f"{folder} holds no data: it is to hold {READ}"
        raise InputError(message)

    found: dict[str, Path] = {}
    for path in files:
        if (kind := format_of(path)) is None:
            message = f"{path} is no data file: data are read from {READ}"
            raise InputError(message)
        found.setdefault(kind, path)

    if len(found) > 1:
        names = " and ".join(path.name for path in list(found.values())[:2])
        message = f"{folder} mixes formats, as in {names}: keep the files of one format"
        raise InputError(message)
    return next(iter(found))


def is_configured(folder: Path) -> bool:
    """Whether the README of a folder lists its data files, for the library to read."""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    found = _FRONT_MATTER.match(readme.read_text(encoding="utf-8", errors="replace"))
    return found is not None and "config_name:" in found[1]
