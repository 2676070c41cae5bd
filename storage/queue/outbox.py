"""The outbox: keeps a computed result on this machine until the store has it.

A result is written to a file first, then to the store, then the file is removed. A worker that is
killed in between, or that gives a dead database up, leaves the file; the next worker of the study
on this machine delivers it, and the store counts it once however often that happens.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from storage.database import is_outage, is_refusal, reason_of
from storage.errors import first_line
from storage.queue.claims import Claim
from storage.queue.local_files import create_private, private_folder, state_folder
from storage.queue.results import Result
from storage.values.subset_key import parse_subset
from storage.values.text import check_uid

WAITING, UNFINISHED, REFUSED = ".json", ".tmp", ".refused"
"""Suffixes of a result that waits, of one that was being written, and of one never to be taken."""

_NAME = "outbox"  # of the folder of all outboxes
_SET_ASIDE = "set aside: "  # began the error of such a trial until release 0.3
_Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what a database can be asked for

log = logging.getLogger("layer-search")


def outbox_folder() -> Path:
    """Return the folder of this machine with a folder of results for each study."""
    return state_folder() / _NAME


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
    _told: set[Path] = field(default_factory=set, compare=False, repr=False)
    """Paths that this process has said cannot be dealt with."""
    _left: set[Path] = field(default_factory=set, compare=False, repr=False)
    """Files among them that it does not look at again."""

    def __post_init__(self) -> None:
        """Refuse a uid that could lead out of the folder of all outboxes."""
        check_uid(self.uid)

    @property
    def folder(self) -> Path:
        """Folder of the files, which need not exist."""
        return outbox_folder() / self.uid

    def keep(self, claim: Claim, result: Result) -> Path | None:
        """Write `result` to a file, and return its path; None when this machine cannot keep it."""
        folder = self.folder
        path = folder / f"{claim.trial_id:012d}-{claim.token:d}{WAITING}"
        unfinished = path.with_suffix(f".{os.getpid()}{UNFINISHED}")

        try:
            text = json.dumps(
                {"claim": asdict(claim) | {"subset": claim.key}, "result": asdict(result)}
            )
            private_folder(_NAME, self.uid)
            with create_private(unfinished) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)  # whole or not at all
            _sync_folder(folder)
        except (OSError, TypeError, ValueError) as error:
            log.warning("cannot keep the result of %s in %s: %s", claim.key, folder, error)
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return None
        return path

    def deliver(self, write: Callable[[Claim, Result], bool]) -> int:
        """Hand every waiting result to `write`, and return how many counted.

        One that can never be written is set aside beside the others, under the suffix `.refused`.
        One that this machine or the store cannot deal with now stays for another time; whatever a
        file holds and the folder is like, only an outage of the store ends this.

        Args:
            write: records a result in the store, and says whether it counts.
        """
        counted = 0
        for path in self._files():
            try:
                claim, result = read_kept(path, self.study_id)
            except FileNotFoundError:
                continue  # its worker lives, and was faster
            except OSError as error:
                self._tell(path, "cannot read", error)  # its disk may answer the next time
                continue
            except ValueError as error:
                self.set_aside(path, first_line(error))
                continue

            try:
                counted += write(claim, result)
            except (SQLAlchemyError, UnicodeError, OverflowError) as error:
                if is_outage(error):
                    raise
                if is_refusal(error):
                    self.set_aside(path, reason_of(error))
                else:
                    self._leave(path, "cannot deliver", error)
                continue
            self.let_go(path)
        return counted

    def let_go(self, path: Path) -> None:
        """Remove a result that the store has."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._leave(path, "cannot remove", error)

    def set_aside(self, path: Path, reason: str) -> None:
        """Rename the file of a result that the store never takes, so that no worker reads it."""
        log.warning("cannot deliver the result kept in %s: %s; set aside", path, reason)
        try:
            path.replace(path.with_suffix(REFUSED))
        except FileNotFoundError:
            pass  # another worker was faster
        except OSError as error:
            self._leave(path, "cannot set aside", error)

    def clear(self) -> None:
        """Remove every file, as for a study that was deleted."""
        for path in self._files(WAITING, UNFINISHED, REFUSED):
            self.let_go(path)
        with suppress(OSError):
            self.folder.rmdir()

    def _files(self, *suffixes: str) -> Iterator[Path]:
        """Yield the files with any of `suffixes`, by name; waiting results when none is given."""
        try:
            paths = sorted(self.folder.iterdir(), key=lambda path: path.name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(self.folder, "cannot look for results in", error)
            return
        for path in paths:
            if path.suffix in (suffixes or (WAITING,)) and path not in self._left:
                yield path

    def _tell(self, path: Path, action: str, error: Exception) -> None:
        """Warn, once for each path, that an action on it failed."""
        if path not in self._told:
            log.warning("%s %s: %s; left for later", action, path, reason_of(error))
            self._told.add(path)

    def _leave(self, path: Path, action: str, error: Exception) -> None:
        """Warn that an action on a file failed, and do not look at the file again."""
        self._tell(path, action, error)
        self._left.add(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name in `folder` outlive a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _KeptClaim(BaseModel):
    """The claim of a kept result, without the fields that are read from the store."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    trial_id: _Number
    subset: str
    seed: _Number
    token: _Number


class _Kept(BaseModel):
    """A result as a file keeps it, also one that release 0.3 wrote."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    claim: _KeptClaim
    result: Result


def read_kept(path: Path, study_id: int) -> tuple[Claim, Result]:
    """Return the claim and the result that `path` holds.

    Raises:
        ValueError: it holds something else.
    """
    try:
        kept = _Kept.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise ValueError(message) from error

    held, result = kept.claim, kept.result
    claim = Claim(held.trial_id, study_id, parse_subset(held.subset), held.seed, held.token)
    if result.error is not None and result.error.startswith(_SET_ASIDE):
        result = replace(result, error=result.error.removeprefix(_SET_ASIDE), set_aside=True)
    return claim, result
