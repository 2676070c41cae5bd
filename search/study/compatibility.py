"""Whether a machine has the base, data and libraries that a study began with."""

import evaluators
from search.errors import InputError
from storage.states import UNSCORED_ROLES
from storage.studies import StudyRecord


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
