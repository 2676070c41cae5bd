"""Bounds of the numbers and names that a store holds, the same ones on every database.

They are those of PostgreSQL, the narrower one, so that a study can move between databases.
"""

import re

LARGEST_INTEGER = 2**31 - 1
"""Largest number that a column of integers holds: PostgreSQL keeps them in 32 bits."""

LARGEST_SEED = LARGEST_INTEGER
"""Largest seed of a trial; the one after it is 0 again (`search.study.seeds`)."""

MOST_SEEDS = 1000
"""Seeds that one subset may be asked for. A heuristic: the chance in a mean falls with their root,
and a tenth of them costs as much as a search.
"""

LARGEST_SCORE = 1e9
"""Score of a trial, a task or a query, up or down. NDCG@10 is at most 1; other measures are welcome
as long as sums of their squares, which the leaderboard takes, keep their digits.
"""

MOST_LAYERS = 512
"""Layers of a base. The key of a subset that keeps them all has 1,937 characters, and an index of
PostgreSQL holds rows of 2,704 bytes. No encoder known has a fifth of them.
"""

LONGEST_KEY = 1000
"""Bytes of a name that an index holds, such as a task or the id of a query: two of them, and the
name of a test set, fit in a row of an index of PostgreSQL.
"""

LONGEST_NAME = 100
"""Letters of the name of a study: those of its depths fit in the 512 that Optuna keeps of one."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of pairs of UTF-16


def is_key(text: str) -> bool:
    """Whether an index can hold `text`: a task with the name of its set in front, or a query id."""
    if not text or _CONTROL.search(text):
        return False
    return len(text.encode()) <= LONGEST_KEY + LONGEST_NAME + 1
