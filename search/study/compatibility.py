"""Whether a machine has the base, data and libraries that a study began with."""

import evaluators
from search.errors import InputError
from storage.studies import StudyRecord


def find_drift(record: StudyRecord, base: evaluators.Description) -> str | None:
    """Return how this machine's base, data and libraries differ from the ones of `record`.

    Of a version only the first number counts; of contents, every byte that reaches the model.

    Returns:
        One line that names every difference; None when there is none.
    """
    differing = [
        f"other content of {part}"
        for part in sorted({*record.fingerprints, *base.fingerprints})
        if record.fingerprints.get(part) != base.fingerprints.get(part)
    ]
    for library in sorted({*record.versions} & {*base.versions}):
        began, here = record.versions[library], base.versions[library]
        if began.split(".")[0] != here.split(".")[0]:
            differing.append(f"{library} {here} (it began with {began})")
    return "; ".join(differing) or None


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
