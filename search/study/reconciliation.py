"""A study file and the one that the store keeps: refused, or taken over key by key.

A key that decides scores stays as it was when the study began, for other scores would not compare.
Every other key may change at any time, and the last launch wins.
"""

import json
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from search.errors import InputError
from search.study.file import StudyFile, evaluator_options, parse_study_file
from storage.errors import InputError as StoreInputError
from storage.setup import is_ready, require_creatable
from storage.studies import StudyRecord, StudyUpdate, find_study

_SCORED_BY = ("base", "evaluator")
"""The sections of the recipe, which decide every score together with subset and seed."""

_SEED = "study.seed"
"""Decides the score of a trial as much as the recipe does: subsets are compared over equal seeds.
"""

_SCREENED_BY = "screen"
"""The section that decides the scores of a screen, once there are some; but for the weights, whose
scores are kept apart.
"""

Plain = Mapping[str, Any]
"""A study file, or a part of one, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The study file to go on with.

    Attributes:
        file: the given file, completed by the recipe that the study began with.
        changes: one line for each key that differs from the stored file, and is taken over.
        update: the changes as the store is told them; None when there are none.
        has_other_data: whether data that decide no score, such as held-out sets, are other ones.
    """

    file: StudyFile
    changes: tuple[str, ...]
    update: StudyUpdate | None
    has_other_data: bool = False


def reconcile(record: StudyRecord, given: StudyFile) -> Reconciled:
    """Return the file to go on with, of the one that `record` keeps and a given one.

    A key of the recipe that the given file leaves out, and the stored file has, is taken from the
    stored file.

    Args:
        record: the study as the store has it.
        given: the study file of the same name.

    Raises:
        InputError: a key that decides scores differs; the message lists all that do.
    """
    # parsed anew: a file that an older release stored lacks the keys that have come since
    stored = parse_study_file(record.file)
    before, now = stored.plain(), given.plain()
    for section in _SCORED_BY:
        now[section] = _completed(now[section], before[section])
    if now["study"]["reference"] is None:
        now["study"]["reference"] = before["study"]["reference"]

    unscored = evaluator_options(stored.evaluator["name"]).unscored
    _require_same_scores(record, before, now, unscored)

    file = parse_study_file(now)
    changes = tuple(_describe_changes(before, now, unscored))
    unread = any(before["evaluator"].get(key) != now["evaluator"].get(key) for key in unscored)
    return Reconciled(file, changes, _update(stored, file) if changes else None, unread)


def find_reconciled(engine: Engine, file: StudyFile) -> StudyFile:
    """Return the file to go on with, before base and data are loaded; nothing is written.

    A study or a store that is not there yet is fine, and so is an older store: beginning the study
    creates or migrates it.

    Raises:
        InputError: the store has a study of this name that began with another recipe.
        storage.errors.InputError: there is no folder to keep a store in.
        storage.errors.StorageError: a newer release made the store.
        sqlalchemy.exc.DBAPIError: the database does not answer.
    """
    require_creatable(engine)
    if not is_ready(engine):
        return file
    try:
        record = find_study(engine, file.study.name)
    except StoreInputError:
        return file
    return reconcile(record, file).file


def require_same_recipe(loaded: StudyFile, now: StudyFile) -> None:
    """Refuse to go on with an evaluator that was loaded by another recipe.

    Raises:
        InputError: the study was begun by somebody else, otherwise, while it was loaded.
    """
    if loaded.recipe_hash() != now.recipe_hash():
        message = (
            f"study {now.study.name!r} was begun with another recipe while base and data were "
            "loaded: start again"
        )
        raise InputError(message)


def _completed(given: object, stored: object) -> Any:
    """Return a part of the given file, with keys that it leaves out as the stored file has them."""
    if given is None:
        return stored
    if isinstance(given, Mapping) and isinstance(stored, Mapping):
        return {key: _completed(value, stored.get(key)) for key, value in given.items()}
    if isinstance(given, list) and isinstance(stored, list) and len(given) == len(stored):
        return [_completed(*pair) for pair in zip(given, stored, strict=True)]
    return given


def _require_same_scores(
    record: StudyRecord, before: Plain, now: Plain, unscored: AbstractSet[str]
) -> None:
    """Refuse a change to a key that decides scores.

    Raises:
        InputError: there is one; the message lists all of them.
    """
    stored, given = _flat(before), _flat(now)
    differing = [
        f"{key} (stored: {stored.get(key)!r}, in the file: {given.get(key)!r})"
        for key in sorted({*stored, *given})
        if stored.get(key) != given.get(key) and _decides_scores(key, record, unscored)
    ]
    if differing:
        message = (
            f"study {record.name!r} began with another file: {'; '.join(differing)}. Scores would "
            "not compare: restore the file, or give the changed study a new name"
        )
        raise InputError(message)


def _decides_scores(key: str, record: StudyRecord, unscored: AbstractSet[str]) -> bool:
    """Whether scores that the store has would have come out otherwise with another value."""
    section, _, inside = key.partition(".")
    if section == _SCREENED_BY:
        return record.is_screened and key != f"{_SCREENED_BY}.weights"
    if section == "evaluator" and re.split(r"[.[]", inside)[0] in unscored:
        return False
    return section in _SCORED_BY or key == _SEED


def _describe_changes(before: Plain, now: Plain, unscored: AbstractSet[str]) -> Iterator[str]:
    """Yield a line for each key that differs."""
    for section in now:
        keys = dict.fromkeys((*(before[section] or {}), *(now[section] or {})))
        for key in keys:
            if section in _SCORED_BY and key not in unscored:
                continue
            old, new = before[section].get(key), now[section].get(key)
            if old != new:
                line = f"{section}.{key}: {_show(old)} -> {_show(new)}, taken over"
                yield line + _consequence(f"{section}.{key}", before, now)


def _consequence(key: str, before: Plain, now: Plain) -> str:
    """Return the words on the effect of a change, where it is not the one that is expected."""
    if key == "study.depths":
        gone = sorted({*before["study"]["depths"]} - {*now["study"]["depths"]})
        if gone:
            names = ", ".join(map(str, gone))
            return f"; depth {names}: the trials stay, and no more are begun"
    if key.startswith("space."):
        return "; subsets that were tried under the old rules stay on the leaderboard"
    return ""


def _show(value: object) -> str:
    """Return a value as the study file would have it, nearly."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _update(stored: StudyFile, file: StudyFile) -> StudyUpdate:
    """Return the changes from one file to the next.

    A budget that `launch --trials` has set stays, unless the file changes the budget of its depth.
    """
    before, now = set(stored.study.depths), set(file.study.depths)
    budgets = {
        depth: file.budget(depth)
        for depth in sorted(now)
        if depth not in before or stored.budget(depth) != file.budget(depth)
    }
    return StudyUpdate(
        file=file.plain(), margin=file.study.margin, budgets=budgets, closed=sorted(before - now)
    )


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Return nested mappings as one mapping of dotted keys; the second of several is `[2]`."""
    flat: dict[str, object] = {}
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, 1):
            flat |= _flat(item, f"{prefix}[{number}]")
        return flat

    if not isinstance(value, Mapping):
        return {prefix: value}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
