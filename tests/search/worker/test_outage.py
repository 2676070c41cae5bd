"""A database that drops its connections: the worker opens new ones and loses nothing."""

from collections import Counter

import psycopg
import pytest
from sqlalchemy import Engine

from search.space import Subset
from search.worker.loop import run_trials
from tests.support.workers import Begin, Sums, Watcher, assert_mirrored, states

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
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
