"""Fixtures of the queue's tests: a study, its workers, and a process that holds a trial."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import Engine

from storage.studies import StudyRecord
from tests.support.stores import Workers, begin, queue_of

HOLDER = """
import sys, time
from storage.queue import NewTrial, TrialQueue
from storage.setup import open_store
from storage.states import Origin
from storage.studies import find_study
engine = open_store(sys.argv[1])
queue = TrialQueue(engine, find_study(engine, sys.argv[2]))
queue.claim(NewTrial((0, 1, 2, 3), 0, Origin.SAMPLER, "uniform"))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study with room for three trials of depth 4 and one of depth 2."""
    return begin(engine, {4: 3, 2: 1})


@pytest.fixture
def worker(engine: Engine, study: StudyRecord) -> Workers:
    """The queue of `study` as one worker sees it, by name: a unless said otherwise."""
    return partial(queue_of, engine, study)


@pytest.fixture
def holder(study: StudyRecord, store_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds 0_1_2_3 of the test's own `study`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, store_url, study.name],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
