"""Types of columns and options of indexes that the tables share."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Dialect, Enum, String, TypeDecorator, text

from storage.values.subset_key import Subset, format_subset, parse_subset


class SubsetKey(TypeDecorator[Subset]):
    """A subset, which SQL holds as its canonical key and Python as a tuple."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Subset | None, dialect: Dialect) -> str | None:
        """Return the key of a subset."""
        del dialect
        return None if value is None else format_subset(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Subset | None:
        """Return the subset of a key.

        Raises:
            InputError: the database holds no such key.
        """
        del dialect
        return None if value is None else parse_subset(value)


def text_of(choices: type[StrEnum]) -> Enum:
    """Return the type of a column that holds the value of one of `choices` as text."""
    return Enum(
        choices,
        native_enum=False,
        length=None,
        values_callable=lambda members: [member.value for member in members],
    )


def only_where(sqlite: str, postgresql: str) -> dict[str, Any]:
    """Return the options of an index on some rows only."""
    return {"sqlite_where": text(sqlite), "postgresql_where": text(postgresql)}
