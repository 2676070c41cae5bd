"""Held-out sets: that they have no query and no task in common with the test sets."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from evaluators._errors import InputError
from evaluators.retrieval.data.collection import Collection
from evaluators.retrieval.data.test_sets import FoundSet

_LONGEST_SHOWN = 60  # characters of a query that a message repeats


def require_other_tasks(heldout: Sequence[FoundSet], tests: Sequence[FoundSet]) -> None:
    """Refuse a held-out set that is a test set: the same task of the same data.

    Raises:
        InputError: one is; the message names both sets and the task.
    """
    tested = {(one.source, task): one.name for one in tests for task in one.tasks}
    for one in heldout:
        for task in one.tasks:
            if (test_set := tested.get((one.source, task))) is not None:
                message = (
                    f"evaluator.heldout: task {task} of set {one.name} ({one.data}) is also a task "
                    f"of test set {test_set}: take it out of one of them"
                )
                raise InputError(message)


def require_other_queries(heldout: Sequence[Collection], tests: Sequence[Collection]) -> None:
    """Refuse held-out sets that share queries with test sets.

    Two queries are the same when their texts are, after Unicode's compatibility decomposition and
    composition (NFKC), without regard to case and to the width of blanks. Queries that nothing
    answers do not count: no score depends on them.

    Raises:
        InputError: some do; the message names sets and tasks, how many there are, and the first.
    """
    tested: dict[str, Collection] = {}
    for test in tests:
        for _, text in _queries(test):
            tested.setdefault(fold(text), test)

    shared: Counter[tuple[str, str]] = Counter()
    first = ""
    for one in heldout:
        for _, text in _queries(one):
            if test_of := tested.get(fold(text)):
                first = first or text
                shared[_place(one), _place(test_of)] += 1
    if not shared:
        return

    pairs = "; ".join(f"{count} of {of} in {to}" for (of, to), count in shared.items())
    message = (
        f"evaluator.heldout has queries of evaluator.test, {shared.total()} in all: {pairs}; the "
        f"first is {first[:_LONGEST_SHOWN]!r}: take them out of one of the sets"
    )
    raise InputError(message)


def fold(text: str) -> str:
    """Return a text in the form in which queries are compared."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _queries(collection: Collection) -> Iterator[tuple[str, str]]:
    """Yield the queries that a document answers, with their ids."""
    for name, text in collection.queries.items():
        if collection.relevant.get(name):
            yield name, text


def _place(collection: Collection) -> str:
    """Return the set and the task of a collection in words."""
    task = collection.task.removeprefix(f"{collection.test_set}/")
    return f"set {collection.test_set}, task {task}"
