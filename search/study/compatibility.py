"""Whether a study file and a machine are the ones that a study began with."""

from collections.abc import Mapping

from sqlalchemy import Engine

import evaluators
from search.errors import InputError
from search.study.file import StudyFile, parse_study_file
from storage.errors import InputError as StoreInputError
from storage.setup import is_ready, require_creatable
from storage.states import UNSCORED_ROLES
from storage.studies import StudyRecord, find_study


def require_unchanged(engine: Engine, file: StudyFile) -> None:
    """Refuse a changed study file before its base and data are loaded.

    A study or a store that is not there yet is fine, and so is an older store: beginning the study
    creates or migrates it.

    Raises:
        InputError: the store has a study of this name that began with another file.
        storage.errors.InputError: there is no folder to keep a store in.
        storage.errors.StorageError: a newer release made the store.
        sqlalchemy.exc.DBAPIError: the database does not answer.
    """
    require_creatable(engine)
    if not is_ready(engine):
        return
    try:
        record = find_study(engine, file.study.name)
    except StoreInputError:
        return
    require_same_file(record, file)


def require_same_file(record: StudyRecord, file: StudyFile) -> None:
    """Refuse `file` unless it is the one that `record` began with.

    Raises:
        InputError: it is not; the message lists the keys that differ.
    """
    # parsed anew: a file that an older release stored lacks the keys that have come since
    stored = _flat(parse_study_file(record.file).plain())
    given = _flat(file.plain())
    differing = [
        f"{key} (stored: {stored.get(key)!r}, in the file: {given.get(key)!r})"
        for key in sorted({*stored, *given} - {"study.reference"})  # it changes no score
        if stored.get(key) != given.get(key)
    ]
    if not differing:
        return

    hint = "give the changed study a new name"
    if all(difference.startswith("study.trials") for difference in differing):
        hint = "restore the file and set the budget with `launch --trials`, or give it a new name"
    message = f"study {record.name!r} began with another file: {'; '.join(differing)}; {hint}"
    raise InputError(message)


def find_drift(record: StudyRecord, base: evaluators.Description) -> str | None:
    """Return how this machine's base, data and libraries differ from the ones of `record`.

    Of a version only the first number counts; of contents, every byte that reaches the model. Sets
    that are held out reach none: they are compared where both have some.

    Returns:
        One line that names every difference; None when there is none.
    """
    parts = {*record.fingerprints, *base.fingerprints}
    parts -= UNSCORED_ROLES - ({*record.fingerprints} & {*base.fingerprints})
    differing = [
        f"other content of {part}"
        for part in sorted(parts)
        if record.fingerprints.get(part) != base.fingerprints.get(part)
    ]

    for name, began in sorted((record.settings or {}).items()):
        if (here := base.settings.get(name)) != began:
            differing.append(f"the base's {name} {here!r} (it began with {began!r})")

    rhythm_then, rhythm_now = (_describe_rhythm(of.period, of.phase) for of in (record, base))
    if rhythm_then != rhythm_now:
        differing.append(f"attention rhythm {rhythm_now} (it began with {rhythm_then})")

    for library in sorted({*record.versions} & {*base.versions}):
        began, here = record.versions[library], base.versions[library]
        if began.split(".")[0] != here.split(".")[0]:
            differing.append(f"{library} {here} (it began with {began})")

    return "; ".join(differing) or None


def _describe_rhythm(period: int | None, phase: str) -> str:
    """Return the rhythm of a base in words."""
    return "none" if period is None else f"of period {period}, {phase} global"


def require_same_machine(record: StudyRecord, base: evaluators.Description) -> None:
    """Refuse a base, data or libraries other than the ones `record` began with.

    Raises:
        InputError: they differ; the message names them.
    """
    if differing := find_drift(record, base):
        message = (
            f"study {record.name!r} began with something else than this machine has: {differing}. "
            "Scores would not compare: restore what it began with, give the study a new name, or "
            "record the difference with each trial (--accept-drift)"
        )
        raise InputError(message)


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
