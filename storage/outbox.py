"""Keeps a computed result on this machine until the store has it.

A result is written to a file first, then to the store, then the file is removed. A worker that is
killed in between, or that gives a dead database up, leaves the file; the next worker of the study
on this machine delivers it, and `results.finish` counts it once however often that happens.
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from storage import results, retry
from storage.claims import Claim
from storage.results import Result, TaskResult

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError)
log = logging.getLogger("layer-search")


def state_folder() -> Path:
    """Folder of this machine for what must outlive a worker.

    LAYER_SEARCH_STATE, or the user's own, such as ~/.local/state/layer-search.
    """
    chosen = os.environ.get("LAYER_SEARCH_STATE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_state_path("layer-search")


def record(engine: Engine, uid: str, held: Claim, result: Result) -> bool:
    """Keep `result`, write it to the store, over outages of minutes, and let go of it.

    Args:
        engine: the store.
        uid: `uid` of the study.
        held: the claim it was computed under.
        result: how the trial ended.

    Returns:
        Whether it counts; False when another worker had finished the trial.
    """
    kept = _keep(uid, held, result)
    counts = retry.patiently(results.finish)(engine, held, result)
    if kept is not None:
        kept.unlink(missing_ok=True)
    return counts


def deliver(engine: Engine, uid: str, study_id: int) -> int:
    """Write the results to the store that workers of this machine left; returns how many counted.

    Args:
        engine: the store.
        uid: `uid` of the study.
        study_id: its number in this store.
    """
    counted = 0
    for path in _entries(uid):
        try:
            claim, result = _read(path, study_id)
            counted += retry.patiently(results.finish)(engine, claim, result)
        except FileNotFoundError:
            continue  # its worker lives, and was faster
        except (IntegrityError, DataError, *_UNREADABLE) as error:
            # one that the store will never take must not keep the others from it
            reason = str(error).split("\n", 1)[0]
            log.warning("cannot deliver the result kept in %s: %s; set aside", path, reason)
            path.replace(path.with_suffix(".refused"))
            continue
        path.unlink(missing_ok=True)
    return counted


def forget(uid: str) -> None:
    """Remove what is kept for a study that was deleted."""
    for path in _entries(uid):
        path.unlink(missing_ok=True)


def _entries(uid: str) -> Iterator[Path]:
    """Files with results of the study, oldest first."""
    yield from sorted(_folder(uid).glob("*.json"), key=lambda path: path.name)


def _folder(uid: str) -> Path:
    return state_folder() / "outbox" / uid


def _keep(uid: str, held: Claim, result: Result) -> Path | None:
    """The file that now holds `result`; None when this machine cannot keep it."""
    folder = _folder(uid)
    path = folder / f"{held.trial_id:012d}-{held.token}.json"
    text = json.dumps({"claim": asdict(held), "result": asdict(result)})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)  # whole or not at all
        _sync_folder(folder)
    except OSError as error:
        log.warning("cannot keep the result of %s in %s: %s", held.subset, folder, error)
        return None
    return path


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
    """The claim and the result that `path` holds.

    Raises:
        ValueError: it holds something else.
    """
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    fields = kept["result"]
    tasks = {name: TaskResult(**task) for name, task in fields["tasks"].items()}
    return Claim(**{**kept["claim"], "study_id": study_id}), Result(**{**fields, "tasks": tasks})
