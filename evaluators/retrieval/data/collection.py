"""One retrieval task, loaded."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collection:
    """One retrieval task.

    Attributes:
        task: its name: `SET/TASK` where several test sets have a task of this name.
        queries: text of each query, by query id.
        corpus: text of each document, by document id.
        relevant: ids of the documents that answer a query, by query id.
        is_graded: whether its judgments have scores other than 1.
        test_set: name of the set it belongs to.
        share: its weight in the mean of a trial.
    """

    task: str
    queries: Mapping[str, str]
    corpus: Mapping[str, str]
    relevant: Mapping[str, set[str]]
    is_graded: bool = False
    test_set: str = ""
    share: float = 1.0
