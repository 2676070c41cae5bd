"""Bounds of numbers, texts and files that evaluators read, in one place.

Everything that reaches the store is bounded as the store bounds it (`storage.values.bounds`, which
a test compares); all else so that no sum overflows and no wait is longer than anybody means.
"""

import re

LARGEST_INTEGER = 2**31 - 1
"""Largest count: what the store's columns of integers hold."""

MOST_LAYERS = 512
"""Layers of a base: so many that the store can index the key of a subset that keeps them all."""

LONGEST_KEY = 1000
"""Bytes of the name of a task and of the id of a query, which the store indexes."""

LONGEST_NAME = 100
"""Letters of the name of a test set, as of a study's."""

LONGEST_TEXT = 4096
"""Characters of a path, a prompt or the name of a column: Linux takes no longer path."""

LONGEST_LIST = 1000
"""Entries of a list, such as tasks or columns. A heuristic: MTEB, the largest benchmark of
embeddings, has some 500 retrieval tasks in all languages together.
"""

LONGEST_INPUT = 1_000_000
"""Tokens of a query or a document. A limit of a tokenizer beyond it means that it has none: the
library transformers writes 10**30.
"""

LARGEST_RATE = 100.0
"""Learning rate. A heuristic: AdamW diverges from far smaller ones, and says so by NaN."""

LARGEST_WEIGHT = 1e9
"""Weight of a test set. A heuristic: beside such a set, one of weight 1 counts for nothing."""

LARGEST_RECORDED = 1e6
"""Score in a table, up or down, and its noise: a thousandth of the largest that the store takes, so
that noise does not lead beyond it.
"""

LONGEST_SECONDS = 86_400.0
"""Seconds that a replayed trial takes: a day, as long as the longest lease."""

MOST_QUERIES = 100_000
"""Invented queries of a task: ten times those of the largest collection of BEIR."""

LARGEST_TABLE = 2**28
"""Bytes of a table of scores: a quarter of a gigabyte holds a row of 14 tasks for each of two
million subsets, more than can be tried.
"""

CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
"""Control characters, and halves of pairs of UTF-16, as a class of a regular expression."""

_CONTROL = re.compile(f"[{CONTROL}]")


def describe_bad_key(text: str) -> str | None:
    """Return why the store could not keep `text` as a name; None when it can."""
    if not text:
        return "it is empty"
    if _CONTROL.search(text):
        return "it holds a control character"
    if len(text.encode()) > LONGEST_KEY:
        return f"it is longer than {LONGEST_KEY} bytes"
    return None


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON and names of files may bring halves of pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
