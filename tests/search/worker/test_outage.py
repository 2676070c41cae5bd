"""A database that drops its connections: the worker opens new ones and loses nothing."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import tenacity
from sqlalchemy import Engine, event

from search.space import Subset
from search.study.reconciliation import find_reconciled
from search.worker.loop import run_trials
from search.worker.session import Session, begin_session, join_session
from storage.database import parse_url
from storage.setup import await_answer, connect_store
from storage.studies import find_study, study_names
from tests.support.databases import CUT, run_sql
from tests.support.workers import Begin, Sums, Watcher, assert_mirrored, states, study_file

on_postgres = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@on_postgres
def test_connections_cut_by_the_server_are_opened_again(
    engine: Engine, begin: Begin, store_url: str
) -> None:
    cut = 0

    def cut_all(_: Subset) -> None:
        nonlocal cut
        with psycopg.connect(store_url) as connection:
            cut += connection.execute(CUT).rowcount

    run_trials(begin(Sums(cut_all)), Watcher())
    assert cut >= 6
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


# the start


@contextmanager
def cut_at_every_statement(url: str) -> Iterator[set[str]]:
    """Cut all connections before each statement, the first time that it is seen.

    Yields:
        The statements so far.
    """
    seen: set[str] = set()

    def cut(_: object, __: object, statement: str, *___: object) -> None:
        if statement not in seen:
            seen.add(statement)
            run_sql(url, CUT)

    event.listen(Engine, "before_cursor_execute", cut)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", cut)


def start_anew(url: str, folder: Path) -> Session:
    """Begin or join the study, as the command `launch` does."""
    engine = connect_store(url)
    await_answer(engine)
    file = find_reconciled(engine, study_file(reference=True))
    return begin_session(engine, file, folder, Sums(), trials=2)


def join(url: str, _folder: Path) -> Session:
    """Join the study, as the command `work` does."""
    engine = connect_store(url)
    await_answer(engine)
    assert study_names(engine) == ["s"]
    return join_session(engine, find_study(engine, "s"), Sums())


@pytest.mark.slow
@on_postgres
@pytest.mark.parametrize("start", [start_anew, join])
def test_start_goes_on_whichever_of_its_statements_is_cut(
    engine: Engine,
    begin: Begin,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[[str, Path], Session],
) -> None:
    if start is join:
        begin()
    monkeypatch.setattr(tenacity.nap, "time", Hasty)
    with cut_at_every_statement(store_url) as seen:
        session = start(store_url, tmp_path)
    assert len(seen) > 10

    run_trials(session, Watcher())
    session.mirror.close()
    session.queue._engine.dispose()
    assert set(states(engine)) == {"complete"}
    assert_mirrored(engine)


class Hasty:
    """A clock of waits that do not wait."""

    @staticmethod
    def sleep(_seconds: float) -> None:
        """Return at once."""


# a failover


@pytest.mark.slow
@on_postgres
def test_server_that_takes_no_writes_for_a_while_is_an_outage(
    engine: Engine, begin: Begin, store_url: str, postgres_server: str
) -> None:
    name = parse_url(store_url).database
    timers: list[threading.Timer] = []

    def demote(_: Subset) -> None:
        if not timers:
            run_sql(store_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on", CUT)
            promote = (
                postgres_server,
                f"ALTER DATABASE {name} RESET default_transaction_read_only",
            )
            timers.append(threading.Timer(0.3, run_sql, promote))
            timers[0].start()

    run_trials(begin(Sums(demote)), Watcher())
    timers[0].join()
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)
