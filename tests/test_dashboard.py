"""optuna-dashboard under the role that may only read: it shows the studies and changes nothing."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from storage import setup

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Dump = Callable[..., dict[str, list[tuple[Any, ...]]]]
DASHBOARD = Path(sys.executable).with_name("optuna-dashboard")


def ask(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of one request."""
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


@pytest.fixture
def dashboard(postgres_url: str, card_study: Path, cli: Cli) -> Iterator[str]:
    """Address of a dashboard that reads a replayed card as the role `looker`."""
    for words in (["launch", card_study, "--depth", "4"], ["init", "--reader", "looker"]):
        done = cli(*words, "--store", postgres_url)
        assert done.returncode == 0, done.stderr
    reader = make_url(postgres_url).set(drivername="postgresql+psycopg", username="looker")
    address = reader.render_as_string(hide_password=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [DASHBOARD, address, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait()


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
    engine = setup.open_store(postgres_url)
    before = dump(engine)
    changes = [
        ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
        ("DELETE", f"/api/studies/{number}", None),
        ("POST", f"/api/studies/{number}/rename", {"study_name": "mine"}),
        ("PUT", f"/api/studies/{number}/note", {"body": "mine", "version": 1}),
    ]
    for method, path, body in changes:
        status, _ = ask(dashboard + path, method, body)
        assert status == 500, (path, status)  # it exists, and the database refuses
    assert dump(engine) == before
    engine.dispose()
