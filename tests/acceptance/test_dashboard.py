"""optuna-dashboard under the role that may only read: it shows the studies and changes nothing."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.support.commands import run_command
from tests.support.replays import FIRST, store_at, write_replay
from tests.support.roles import READER, as_reader, drop_readers
from tests.support.stores import Dump

DASHBOARD = Path(sys.executable).with_name("optuna-dashboard")


def ask(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Return status and JSON of one request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our server
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def dashboard(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """Address of a dashboard that reads a replayed card as a role that may only read."""
    study = write_replay(tmp_path, "card", {4: 5}, FIRST[:5])
    for words in (["launch", study], ["init", "--reader", READER]):
        done = run_command(*words, "--store", postgres_url)
        assert done.returncode == 0, done.stderr

    address = make_url(as_reader(postgres_url)).set(drivername="postgresql+psycopg")
    port = free_port()
    words = [address.render_as_string(hide_password=False), f"--port={port}", "--host=127.0.0.1"]
    with subprocess.Popen(
        [DASHBOARD, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        for _ in range(300):
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait()
    drop_readers(postgres_url)


@pytest.mark.slow
def test_it_shows_the_studies_and_changes_nothing(
    dashboard: str, postgres_url: str, dump: Dump
) -> None:
    status, answer = ask(f"{dashboard}/api/studies")
    assert status == 200
    shown = {study["study_name"]: study["study_id"] for study in answer["study_summaries"]}
    assert "card/L4" in shown

    number = shown["card/L4"]
    for _ in range(20):  # it answers before it has read the trials
        status, answer = ask(f"{dashboard}/api/studies/{number}?after=0")
        assert status == 200
        if len(answer["trials"]) == 5:
            break
        time.sleep(0.2)
    assert max(trial["values"][0] for trial in answer["trials"]) == 0.4558

    changes = [
        ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
        ("DELETE", f"/api/studies/{number}", None),
        ("POST", f"/api/studies/{number}/rename", {"study_name": "mine"}),
        ("PUT", f"/api/studies/{number}/note", {"body": "mine", "version": 1}),
    ]
    with store_at(postgres_url) as engine:
        before = dump(engine)
        for method, path, body in changes:
            status, _ = ask(dashboard + path, method, body)
            assert status == 500, (path, status)  # it exists, and the database refuses
        assert dump(engine) == before
