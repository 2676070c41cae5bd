"""The errors of the store. Their messages are written for the person at the terminal."""


class StorageError(Exception):
    """The store cannot do as it was asked."""


class InputError(StorageError, ValueError):
    """The request is impossible: a bad URL, an unknown study, a depth that does not exist."""


class StoreMissingError(InputError):
    """There is no store behind the URL yet."""


class StoreOutdatedError(StorageError):
    """The store has the schema of another release."""


class StoreUnavailableError(StorageError):
    """The database does not answer."""


class StoreTamperedError(StorageError):
    """The store holds something that no release writes."""


class UnscoredSubsetError(InputError):
    """A subset has no score in the study."""


class BudgetSpentError(StorageError):
    """All trials of this depth are taken."""


class ClaimTakenError(StorageError):
    """Another worker has claimed this subset and seed."""


def first_line(error: BaseException) -> str:
    """Return the first line of the message of `error`, or the name of its type without one."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
