"""The outbox: keeps a computed result on this machine until the store has it.

A result is written to a file first, then to the store, then the file is removed. A worker that is
killed in between, or that gives a dead database up, leaves the file; the next worker of the study
on this machine delivers it, and the store counts it once however often that happens.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError

from storage.errors import first_line
from storage.queue.claims import Claim
from storage.queue.local_files import create_private, private_folder, state_folder
from storage.queue.results import Result, TaskResult
from storage.values.subset_key import parse_subset
from storage.values.text import check_uid

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError)
_NAME = "outbox"  # of the folder of all outboxes
_SET_ASIDE = "set aside: "  # began the error of such a trial until release 0.3

log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class Outbox:
    """The results of one study that wait on this machine.

    Attributes:
        uid: the `uid` of the study, which names its folder.
        study_id: number of the study in the store.

    Raises:
        ValueError: `uid` is none, and could name any folder.
    """

    uid: str
    study_id: int

    def __post_init__(self) -> None:
        """Refuse a uid that could lead out of the folder of all outboxes."""
        check_uid(self.uid)

    @property
    def folder(self) -> Path:
        """Folder of the files, which need not exist."""
        return state_folder() / _NAME / self.uid

    def keep(self, claim: Claim, result: Result) -> Path | None:
        """Write `result` to a file, and return its path; None when this machine cannot keep it."""
        folder = self.folder
        path = folder / f"{claim.trial_id:012d}-{claim.token:d}.json"
        text = json.dumps(
            {"claim": asdict(claim) | {"subset": claim.key}, "result": asdict(result)}
        )

        try:
            private_folder(_NAME, self.uid)
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            with create_private(unfinished) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)  # whole or not at all
            _sync_folder(folder)
        except OSError as error:
            log.warning("cannot keep the result of %s in %s: %s", claim.key, folder, error)
            return None
        return path

    def deliver(self, write: Callable[[Claim, Result], bool]) -> int:
        """Hand every waiting result to `write`, and return how many counted.

        One that can never be written is set aside beside the others, under the suffix `.refused`.

        Args:
            write: records a result in the store, and says whether it counts.
        """
        counted = 0
        for path in self._files():
            try:
                claim, result = _read(path, self.study_id)
                counted += write(claim, result)
            except FileNotFoundError:
                continue  # its worker lives, and was faster

            except (IntegrityError, DataError, *_UNREADABLE) as error:
                # one that the store will never take must not keep the others from it
                reason = first_line(error)
                log.warning("cannot deliver the result kept in %s: %s; set aside", path, reason)
                path.replace(path.with_suffix(".refused"))
                continue
            path.unlink(missing_ok=True)
        return counted

    def clear(self) -> None:
        """Remove every waiting result, as for a study that was deleted."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        """Yield the files with results, oldest first."""
        yield from sorted(self.folder.glob("*.json"), key=lambda path: path.name)


def _sync_folder(folder: Path) -> None:
    """Make the new name in `folder` outlive a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, study_id: int) -> tuple[Claim, Result]:
    """Return the claim and the result that `path` holds, also one that release 0.3 wrote.

    Raises:
        ValueError: it holds something else.
    """
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names = ("trial_id", "seed", "token")
    claim = Claim(
        study_id=study_id,
        subset=parse_subset(kept["claim"]["subset"]),
        **{name: kept["claim"][name] for name in names},
    )

    fields = kept["result"]
    error = fields["error"] or ""
    if error.startswith(_SET_ASIDE):
        fields |= {"error": error.removeprefix(_SET_ASIDE), "set_aside": True}
    tasks = {name: TaskResult(**task) for name, task in fields["tasks"].items()}
    return claim, Result(**{**fields, "tasks": tasks})
