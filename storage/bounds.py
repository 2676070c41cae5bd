"""Bounds of the numbers and names that a store holds, the same ones on every database.

They are those of PostgreSQL, the narrower one, so that a study can move between databases.
"""

LARGEST_INTEGER = 2**31 - 1
"""Largest number that a column of integers holds: PostgreSQL keeps them in 32 bits."""

LARGEST_SEED = LARGEST_INTEGER
"""Largest seed of a trial; the one after it is 0 again (`search.study.seeds`)."""

MOST_SEEDS = 1000
"""Seeds that one subset may be asked for. A heuristic: the chance in a mean falls with their root,
and a tenth of them costs as much as a search.
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
