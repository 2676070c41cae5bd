"""The errors of the store. Their messages are written for the person at the terminal."""


class StorageError(Exception):
    """The store cannot do what was asked."""


class InputError(StorageError, ValueError):
    """What was asked for cannot be: a bad URL, an unknown study, a changed study file."""


class StoreUnavailableError(StorageError):
    """The database does not answer."""


class BudgetSpentError(StorageError):
    """All trials of this depth are taken."""


class ClaimTakenError(StorageError):
    """Somebody else has claimed this subset and seed."""
