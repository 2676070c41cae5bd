"""The database's clock."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select

from storage.database import read, utc_now


def test_clock_is_the_databases_in_utc(engine: Engine) -> None:
    with read(engine) as connection:
        now, later = connection.execute(select(utc_now(), utc_now(90.5))).one()
    assert abs(now - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)
    assert timedelta(seconds=90) < later - now < timedelta(seconds=91)
