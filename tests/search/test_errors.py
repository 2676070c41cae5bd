"""The errors of the search, and unforeseen ones in one line."""

import pytest

from search.errors import InputError, SearchError, SpaceExhaustedError, describe_error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such layer"), "ValueError: no such layer"),
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (OSError("  spaces \n"), "OSError: spaces"),
        (KeyError("name"), "KeyError: 'name'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_an_unforeseen_error_is_described_in_one_line(error: BaseException, line: str) -> None:
    assert describe_error(error) == line


def test_impossible_requests_can_be_told_from_failures() -> None:
    assert issubclass(InputError, SearchError)
    assert issubclass(InputError, ValueError)
    assert issubclass(SpaceExhaustedError, SearchError)
    assert not issubclass(SpaceExhaustedError, InputError)
