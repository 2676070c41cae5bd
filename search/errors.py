"""The errors of the search. Their messages are written for the person at the terminal."""


class SearchError(Exception):
    """The search cannot go on."""


class InputError(SearchError, ValueError):
    """The request is impossible: a wrong depth, an unknown key, an impossible cadence."""


class SpaceExhaustedError(SearchError):
    """Every subset of the space has been tried."""


def describe_error(error: BaseException) -> str:
    """Return the type and the first line of an unforeseen error."""
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
