"""Sets of collections: which tasks they have, how they are called, and how much each counts."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluators._bounds import describe_bad_key, is_unicode
from evaluators._errors import InputError
from evaluators.retrieval.data.collection import Collection
from evaluators.retrieval.data.folders import FolderSet
from evaluators.retrieval.data.library import LibrarySet
from evaluators.retrieval.data.sources import cache_of, is_configured, locate
from evaluators.retrieval.options import EvaluationOptions, HeldoutOptions, name_sets

log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set of collections before its texts are read.

    Attributes:
        name: its name in the study.
        data: its name in the study file.
        source: hub id or absolute path.
        tasks: the tasks that are asked for.
        reader: reads them.
        weight: its weight in the mean of a trial.
    """

    name: str
    data: str
    source: str
    tasks: Sequence[str]
    reader: FolderSet | LibrarySet
    weight: float = 1.0


def find_sets(sets: Sequence[HeldoutOptions], folder: Path, section: str) -> list[FoundSet]:
    """Find the sets that a section of the study file names, in its order.

    Args:
        sets: the tables of the section.
        folder: folder that relative paths start from.
        section: name of the section, for errors.

    Raises:
        InputError: data do not exist or have no such task, or a task is named twice.
    """
    found = [_find_set(name, options, folder, section) for name, options in name_sets(sets).items()]

    places = Counter((one.source, task) for one in found for task in one.tasks)
    for one in found:
        for task in one.tasks:
            if places[one.source, task] > 1:
                message = f"{section}: two sets have task {task} of {one.data}: keep it in one"
                raise InputError(message)
    return found


def _find_set(name: str, options: HeldoutOptions, folder: Path, section: str) -> FoundSet:
    """Find one set."""
    source = locate(options.data, folder, f"{section}.data")
    reader: FolderSet | LibrarySet
    if Path(source).exists() and not is_configured(Path(source)):
        reader = FolderSet.find(Path(source))
    else:
        reader = LibrarySet.find(source, options.data, options.revision, cache_of(source))

    there = list(reader.tasks)
    if unknown := [task for task in options.tasks if task not in there]:
        message = (
            f"{section}.tasks: {options.data} has no {unknown[0]!r}: it has {', '.join(there)}"
        )
        raise InputError(message)

    tasks = list(dict.fromkeys(options.tasks or there))
    if not tasks:
        message = f"{section}.data: {options.data} has no tasks"
        raise InputError(message)
    weight = options.weight if isinstance(options, EvaluationOptions) else 1.0
    return FoundSet(name, options.data, source, tasks, reader, weight)


def load_sets(sets: Sequence[FoundSet]) -> list[Collection]:
    """Load the collections of all sets, in order, each with its share in the mean of a trial.

    Queries and documents without text are left out, as NanoBEIR's own evaluator does. A judgment
    with a score of 0 or less is none, all others count alike.

    Args:
        sets: the sets.

    Raises:
        InputError: a part cannot be read, holds something else than texts, ids and numbers, or a
            task has no name that the store could keep.
    """
    named = Counter(task for one in sets for task in one.tasks)
    found = []
    for one, share in zip(sets, shares_of_tasks(sets), strict=True):
        for task in one.tasks:
            if problem := describe_bad_key(task):
                message = f"{one.data}: {task[:40]!r} is no name of a task: {problem}"
                raise InputError(message)
            name = f"{one.name}/{task}" if named[task] > 1 else task
            found.append(_load_collection(one, task, name, share))

    if graded := ", ".join(collection.task for collection in found if collection.is_graded):
        log.warning(
            "judgments are graded: a score above 0 counts as relevant, no matter how high, and all "
            "others as not relevant, in %s",
            graded,
        )
    return found


def shares_of_tasks(sets: Sequence[FoundSet]) -> list[float]:
    """Return the share of each task of each set in the mean of a trial.

    The mean is that over sets, by their weights w, of the means over the m tasks of each set, in
    which tasks count alike. So a task of set s has the share

        a_s = w_s / (sum of all w) / m_s

    and the shares of all tasks add up to 1.

    Args:
        sets: the sets, which have at least one task each.
    """
    total = math.fsum(one.weight for one in sets)
    return [one.weight / total / len(one.tasks) for one in sets]


def _load_collection(found: FoundSet, task: str, name: str, share: float) -> Collection:
    """Load one task, under a name of its own."""
    reader = found.reader
    relevant: dict[str, set[str]] = {}
    grades: set[float] = set()
    for query, documents, score in reader.read("qrels", task, "query-id", "corpus-id", score=1):
        grade = _grade(score, name)
        grades.add(grade)
        if grade > 0:
            ids = documents if isinstance(documents, list) else [documents]
            relevant.setdefault(_id(query, name), set()).update(_id(one, name) for one in ids)

    queries = reader.read("queries", task, "_id", "text")
    if reader.has_titles:
        rows = reader.read("corpus", task, "_id", "text", title="")
        documents = ((key, _with_title(title, text)) for key, text, title in rows)
    else:
        documents = (tuple(row) for row in reader.read("corpus", task, "_id", "text"))

    return Collection(
        name,
        _texts(queries, f"queries of task {name}"),
        _texts(documents, f"corpus of task {name}"),
        relevant,
        is_graded=not grades <= {1},
        test_set=found.name,
        share=share,
    )


def _texts(rows: Iterable[Sequence[object]], place: str) -> dict[str, str]:
    """Return texts by id, without the empty ones.

    Raises:
        InputError: an id or a text is something else.
    """
    found = {}
    for key, text in rows:
        if text is not None and not isinstance(text, str):
            message = f"{place}: text is to be a text, not {str(text)[:40]!r}"
            raise InputError(message)
        if text and not is_unicode(text):
            message = f"{place}: the text of {str(key)[:40]!r} has halves of characters (UTF-16)"
            raise InputError(message)
        if text:
            found[_id(key, place)] = text
    return found


def _with_title(title: object, text: object) -> object:
    """Return a text behind its title, as BEIR's own retrievers read it."""
    if not isinstance(title, str) or not isinstance(text, str):
        return text
    return f"{title} {text}".strip()


def _id(value: object, place: str) -> str:
    """Return an id as text; some files hold numbers.

    Raises:
        InputError: it is neither text nor an integer, or the store could not keep it.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = f"{place}: an id is a text or an integer, not {str(value)[:40]!r}"
        raise InputError(message)
    if problem := describe_bad_key(str(value)):
        message = f"{place}: {str(value)[:40]!r} is no id: {problem}"
        raise InputError(message)
    return str(value)


def _grade(score: object, task: str) -> float:
    """Return the score of a judgment, which some data sets hold as text.

    Raises:
        InputError: it is no number.
    """
    try:
        grade = float(score)  # type: ignore[arg-type]  # whatever the column holds
    except (TypeError, ValueError, OverflowError):
        grade = math.nan

    if math.isnan(grade):
        message = (
            f"qrels of task {task}: the score of a judgment is a number, not {repr(score)[:40]}"
        )
        raise InputError(message)
    return grade
