"""Leases: renewed in the background while a trial runs, whatever the store does meanwhile."""

import logging
import time

import pytest
from sqlalchemy.exc import OperationalError

from storage.errors import InputError
from storage.queue import LEASE_SECONDS, Lease, lease_seconds
from tests.support.databases import run_sql
from tests.support.stores import Workers, new_trial

TRIAL = new_trial((0, 1, 2, 3))
CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
AWAY = OperationalError("UPDATE", {}, Exception("no connection"))


@pytest.mark.slow
def test_lease_keeps_a_claim_past_its_first_expiry(worker: Workers) -> None:
    queue = worker(lease=1)
    with queue.lease(queue.claim(TRIAL)):
        time.sleep(1.4)
        assert worker("b").take_over([4]) is None

    # left: it expires
    deadline = time.monotonic() + 20
    while (taken := worker("b").take_over([4])) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert taken is not None
    assert taken.token == 2


def test_lease_survives_a_store_that_is_away_for_a_while(
    worker: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker(lease=30)
    held = queue.claim(TRIAL)
    outcomes: list[bool | str] = []

    def shaky() -> bool:
        if len(outcomes) < 3:
            outcomes.append("away")
            raise AWAY
        outcomes.append(queue.renew(held))
        return outcomes[-1] is True

    with caplog.at_level(logging.WARNING, "layer-search"), Lease(shaky, 0.15, held.key):
        deadline = time.monotonic() + 20
        while len(outcomes) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)

    assert outcomes[:6] == ["away", "away", "away", True, True, True]
    assert caplog.messages == ["cannot renew the lease of 0_1_2_3 yet: OperationalError"] * 3
    assert queue.renew(held) is True  # still ours
    assert worker("b").take_over([4]) is None


def test_lease_ends_when_the_trial_was_taken_over(
    worker: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker(lease=-1)
    held = queue.claim(TRIAL)
    taken = worker("b").take_over([4])

    with Lease(lambda: queue.renew(held), 0.15, held.key) as lease:
        lease._thread.join(timeout=20)
        assert not lease._thread.is_alive()
    assert caplog.messages == ["trial 0_1_2_3 was taken over by another worker"]
    assert taken is not None
    assert worker("b").renew(taken) is True


def test_leaving_a_long_lease_takes_no_time(worker: Workers) -> None:
    queue = worker(lease=300)
    lease = queue.lease(queue.claim(TRIAL))
    start = time.monotonic()
    with lease:
        pass
    assert time.monotonic() - start < 1
    assert not lease._thread.is_alive()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_worker_that_computes_for_long_holds_no_connection(worker: Workers, store_url: str) -> None:
    def connections() -> int:
        ((count,),) = run_sql(store_url, CONNECTIONS)
        return int(count)

    queue = worker()
    held = queue.claim(TRIAL)
    assert connections() == 1
    assert queue.renew(held) is True
    deadline = time.monotonic() + 20
    while (left := connections()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == 0
    assert queue.unfinished([4]) == 1  # opened again


# how long it lasts


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, LEASE_SECONDS), ("1", 1), ("2.5", 2.5), ("86400", 86400)]
)
def test_lease_lasts_two_minutes_or_as_the_environment_says(
    text: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYER_SEARCH_LEASE", raising=False)
    if text is not None:
        monkeypatch.setenv("LAYER_SEARCH_LEASE", text)
    assert LEASE_SECONDS == 120
    assert lease_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "0.9", "-5", "86401", "nan", "inf"])
def test_impossible_lease_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYER_SEARCH_LEASE", text)
    with pytest.raises(InputError) as caught:
        lease_seconds()
    assert str(caught.value) == (f"LAYER_SEARCH_LEASE is {text!r}: give seconds, from 1 to 86400")
