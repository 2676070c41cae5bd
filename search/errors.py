"""The errors of the search. Their messages are written for the person at the terminal."""


class SearchError(Exception):
    """The search cannot go on."""


class InputError(SearchError, ValueError):
    """What was asked for cannot be: a wrong depth, an unknown key, an impossible cadence."""


class SpaceExhaustedError(SearchError):
    """Every subset of the space has been tried."""
