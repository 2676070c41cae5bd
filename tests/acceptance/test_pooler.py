"""Workers behind PgBouncer in transaction pooling, which lends connections for a transaction."""

import importlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.worker.loop import run_trials
from search.worker.session import begin_session
from storage.setup import open_store
from tests.support.stores import query, worker_id
from tests.support.workers import Sums, Watcher, assert_mirrored, states, study_file

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONNECTIONS = 3
"""Connections that the pooler has for all workers."""


@pytest.fixture
def pooled() -> Iterator[str]:
    """URL of an empty database through a pooler."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        pooler: Any = importlib.import_module("_pooler")
        server: Any = importlib.import_module("_server")
    if pooler.find_program() is None:
        pytest.skip(pooler.MISSING)
    with server.Server() as running, pooler.Pooler(running.url, CONNECTIONS) as before:
        yield before.url


@pytest.mark.slow
@pytest.mark.unmeasured
def test_more_workers_than_connections_lose_nothing(pooled: str, tmp_path: Path) -> None:
    open_store(pooled, create=True).dispose()
    broken: list[BaseException] = []

    def work(name: str) -> None:
        engine = open_store(pooled)
        try:
            session = begin_session(engine, study_file(trials={"2": 9, "3": 9}), tmp_path, Sums())
            session.queue._worker = worker_id(name)  # as if in a process of its own
            for _ in range(9):  # more often than a driver needs to prepare a statement
                session.queue.remaining(2)
            run_trials(session, Watcher())
            session.mirror.close()
        except BaseException as error:  # noqa: BLE001 - a thread would swallow it
            broken.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(2 * CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []

    engine = open_store(pooled)
    assert Counter(states(engine)) == {"complete": 18}
    assert_mirrored(engine)
    # what a session would be told once, each transaction is told
    assert query(engine, "SHOW statement_timeout") == [("1min",)]
    engine.dispose()
