"""The errors of the search. Their messages are written for the person at the terminal."""

from storage.errors import first_line


class SearchError(Exception):
    """The search cannot go on."""


class InputError(SearchError, ValueError):
    """The request is impossible: a wrong depth, an unknown key, an impossible cadence."""


class SpaceExhaustedError(SearchError):
    """Every subset of the space has been tried."""


def describe_error(error: BaseException) -> str:
    """Return the type and the first line of an unforeseen error."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"
