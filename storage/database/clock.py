"""The database's clock, in UTC: machines disagree about the time, the store does not."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class utc_now(GenericFunction[datetime]):  # noqa: N801 - named like the SQL function it stands for
    """The present time, or some seconds from it, as a timestamp without zone, in UTC.

    Args:
        seconds: added to the present; negative for the past.
    """

    type = DateTime()
    inherit_cache = True
    name = "utc_now"

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(seconds)


@compiles(utc_now, "postgresql")
def _postgresql(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() AT TIME ZONE 'UTC' + {seconds} * interval '1 second')"


@compiles(utc_now, "sqlite")
def _sqlite(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    # six decimals, as SQLAlchemy writes its own timestamps, so that texts compare like times
    return f"(strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds'))"
