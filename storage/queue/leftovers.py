"""Files that this machine keeps of results, of all studies: listed, and cleaned up."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from storage.errors import StorageError
from storage.queue.outbox import REFUSED, UNFINISHED, WAITING, outbox_folder, read_kept
from storage.studies import study_names_by_uid

_STATES: dict[str, Literal["waiting", "unfinished", "refused"]] = {
    WAITING: "waiting",
    UNFINISHED: "unfinished",
    REFUSED: "refused",
}
_DEAD_SECONDS = 3600  # a file is written within seconds: one older than this has lost its writer


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file of the outbox of this machine.

    Attributes:
        study: name of its study; None when the store has no such study.
        state: `waiting` for a worker to deliver it, `unfinished` when its worker died while it
            wrote it, `refused` when the store will never take it.
        written: when, in UTC.
        bytes: its size.
        reason: why a refused one cannot be read; None when it can be.
        path: its path.
    """

    study: str | None
    state: Literal["waiting", "unfinished", "refused"]
    written: datetime
    bytes: int
    reason: str | None
    path: str

    @property
    def is_useless(self) -> bool:
        """Whether nothing can come of it: its study is gone, or it was never written whole."""
        age = time.time() - self.written.replace(tzinfo=UTC).timestamp()
        return self.study is None or (self.state == "unfinished" and age > _DEAD_SECONDS)


def list_kept(engine: Engine) -> list[KeptFile]:
    """Return the files that this machine keeps of results, by study and name.

    Raises:
        StorageError: a folder of them cannot be read.
    """
    names = study_names_by_uid(engine)
    found = []
    for folder in _entries(outbox_folder()):
        for path in _entries(folder):
            if path.suffix in _STATES:
                with suppress(FileNotFoundError):  # its worker was faster
                    found.append(_describe(path, names.get(folder.name)))
    return sorted(found, key=lambda file: (file.study is None, file.study or "", file.path))


def _entries(folder: Path) -> list[Path]:
    """Return the files and folders in a folder, by name; an empty list without the folder.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        message = f"cannot list the results kept in {folder}: {error.strerror}"
        raise StorageError(message) from error


def _describe(path: Path, study: str | None) -> KeptFile:
    """Return the description of one file of the outbox."""
    status, reason = path.stat(), None
    if path.suffix == REFUSED:
        try:
            read_kept(path, study_id=0)
        except (OSError, ValueError) as error:
            reason = str(error)
    written = datetime.fromtimestamp(int(status.st_mtime), UTC).replace(tzinfo=None)
    return KeptFile(study, _STATES[path.suffix], written, status.st_size, reason, str(path))


def remove_kept(files: Iterable[KeptFile]) -> None:
    """Remove files, and the folders that this leaves empty.

    Raises:
        StorageError: one cannot be removed.
    """
    for file in files:
        path = Path(file.path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            message = f"cannot remove {path}: {error.strerror}"
            raise StorageError(message) from error
        with suppress(OSError):  # not empty yet
            path.parent.rmdir()
