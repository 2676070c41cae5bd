"""Builds the images and runs docker-compose.yml for real, and checks what they promise.

    python tests/containers/run.py

For a machine with Debian 12, as root, with its packages podman, buildah, runc, netavark,
aardvark-dns, catatonit, iptables and mmdebstrap; Python 3.11 or newer; and a package index that pip
reaches. podman-compose is installed into a temporary folder. Images are pulled if a registry is
within reach; where none is, stand-ins are made from Debian packages, and the last lines say which.
Images stay for the next run; containers and volumes go. Takes some ten minutes and 6 GB.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from _compose import PODMAN_COMPOSE, ROOT, Stack, confinement, wait_until
from _stand_ins import pip_mounts, provide

PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
POSTGRES_IMAGE = "docker.io/library/postgres:18-trixie"
"""Images that the Dockerfile and the compose file name."""

_PROGRAMS = ("podman", "buildah", "runc", "mmdebstrap", "iptables")
_LEASE_SECONDS = 120  # after which the trial of a killed worker is taken over
_TRIALS = 10
_STUDY = f"""\
[study]
name = "toy"
depths = [4]
trials = {_TRIALS}

[space]
cadence = "strict"

[base]
model = "base"
query_length = 32
document_length = 48

[sampler]
name = "uniform"

[evaluator]
name = "retrieval"
steps = 40
batch_size = 16
learning_rate = 5e-4

[evaluator.train]
data = "train.jsonl"
negatives = ["negative"]

[evaluator.test]
data = "test"
"""
_TOY = """
from pathlib import Path
import evaluators
from evaluators import _toy
from evaluators._toy import base
base.STEPS = 12  # a poor base is good enough here
_toy.prepare(Path("/made/toy"), evaluators.silent)
"""
_READS = """
import psycopg
with psycopg.connect("postgresql://reader@postgres/search", autocommit=True) as connection:
    print(connection.execute("SELECT count(*) FROM leaderboard").fetchone()[0])
    connection.execute("SET default_transaction_read_only = off")
    for change in (
        "DELETE FROM search_studies",
        "CREATE TEMPORARY TABLE mine (x integer)",
        "SELECT lo_create(0)",
    ):
        try:
            connection.execute(change)
        except psycopg.errors.InsufficientPrivilege:
            continue
        raise SystemExit("not refused: " + change)
try:
    psycopg.connect("postgresql://reader@postgres/postgres")
except psycopg.OperationalError as error:
    assert "CONNECT privilege" in str(error), error
else:
    raise SystemExit("another database is open")
"""


def main() -> int:
    """Run everything; return 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave the containers as they are")
    options = parser.parse_args()
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        print(f"error: install {', '.join(missing)} first", file=sys.stderr)
        return 2

    start = time.monotonic()
    stand_ins = [image for image in (PYTHON_IMAGE, POSTGRES_IMAGE) if provide(image)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="containers-")))
        folder.chmod(0o755)
        containers = Stack(folder)
        containers.remove()  # what an earlier run left
        if not options.keep:
            stack.callback(containers.remove)
        try:
            _check(containers)
        except (RuntimeError, AssertionError) as error:
            # the last frame of it is the promise that does not hold
            where = traceback.extract_tb(error.__traceback__)[-1].line
            print(f"error: {str(error) or where}", file=sys.stderr)
            _print_logs(containers)
            return 1

    print(f"all of it holds, after {time.monotonic() - start:.0f} s")
    for image in stand_ins:
        print(f"stand-in, made from Debian packages: {image}")
    return 0


def _check(stack: Stack) -> None:
    """Go through the life of a stack.

    Raises:
        RuntimeError: a step failed.
        AssertionError: a promise does not hold.
    """
    versions = [stack.podman("--version").strip(), stack.run("runc", "--version").split("\n")[0]]
    _say(f"{', '.join(versions)}, podman-compose {PODMAN_COMPOSE}")

    _build(stack)
    _make_studies(stack)
    _start(stack)
    _begin_study(stack)
    _kill_one(stack)
    _stop_and_go_on(stack)
    _finish(stack)


def _build(stack: Stack) -> None:
    """Build both images, with the packages that pip finds on this machine."""
    arguments = " ".join(["--network=host", *pip_mounts(stack.folder)])
    stack.compose("build", "worker", "dashboard", before=(f"--podman-build-args={arguments}",))
    sizes = stack.podman("images", "--format", "{{.Repository}} {{.Size}}")
    for line in sorted(line for line in sizes.splitlines() if "layer-search" in line):
        _say(f"built {line.removeprefix('localhost/')}")


def _make_studies(stack: Stack) -> None:
    """Write the replayed card, and a toy base with its data, which the image makes itself."""
    for name in ("card.toml", "card.csv"):
        shutil.copy(ROOT / "examples" / name, stack.studies)
    toy = stack.studies / "toy"
    toy.mkdir()
    shutil.chown(toy, 1000, 1000)
    made = ("--volume", f"{stack.studies}:/made", "--env", "OMP_NUM_THREADS=1", "--network=none")
    image = "localhost/layer-search-worker"
    stack.podman("run", "--rm", *made, "--entrypoint", "python", image, "-c", _TOY)
    (toy / "toy.toml").write_text(_STUDY, encoding="utf-8")


def _start(stack: Stack) -> None:
    """Start the database, set the store up, and start the dashboard."""
    stack.up("postgres")
    (postgres,) = stack.containers("postgres")
    wait_until("PostgreSQL is healthy", lambda: _is_healthy(stack, postgres), 120)
    _say("PostgreSQL is healthy")

    stack.up("init")
    (init,) = stack.containers("init", running=False)
    said = _ended(stack, init)
    assert "role worker may work\nrole reader may read" in said, said
    _say("init made the store and both roles")

    stack.up("dashboard")
    wait_until("the dashboard answers", lambda: _ask(stack, "/api/studies")[0] == 200, 60)
    (dashboard,) = stack.containers("dashboard")
    body = {"study_name": "mine", "directions": ["minimize"]}
    assert _ask(stack, "/api/studies", body)[0] == 500
    stack.podman("exec", dashboard, "with-secrets", "python", "-c", _READS)
    _say("the dashboard reads, and its role can do no more")

    assert stack.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'worker'") == [["f"]]
    for container in (postgres, dashboard):
        _check_confined(stack, container)


def _begin_study(stack: Stack) -> None:
    """Replay a study in a container that ends, then begin a real one with two workers."""
    stack.compose("run", "--no-deps", "--rm", "-T", "worker", "launch", "/studies/card.toml")
    assert stack.sql("SELECT count(*) FROM leaderboard WHERE study = 'card'") == [["27"]]
    _say("a study of 27 subsets was replayed by `run --rm worker launch`")

    stack.compose("run", "--no-deps", "--detach", "-T", "worker", "launch", "/studies/toy/toy.toml")
    wait_until("the study is there", lambda: bool(_running(stack)), 300)
    stack.up("worker", scale=2)
    wait_until("three workers hold trials", lambda: len(_running(stack)) == 3, 300)
    for container in stack.containers("worker"):
        _check_confined(stack, container)
    _say("a study with models was launched, and `--scale worker=2` added two workers")


def _kill_one(stack: Stack) -> None:
    """Kill a worker in the midst of a trial: another one takes it over."""
    (owner, trial), *_ = _running(stack)
    victim = next(
        name
        for name in stack.containers("worker")
        if stack.inspect(name)["Config"]["Hostname"] in owner
    )
    stack.podman("kill", "--signal", "KILL", victim)
    _say(f"killed a worker that held trial {trial}")

    query = f"SELECT count(DISTINCT owner) FROM search_attempts WHERE trial_id = {trial}"  # noqa: S608
    seconds = 2 * _LEASE_SECONDS
    wait_until("its trial is taken over", lambda: stack.sql(query) == [["2"]], seconds)
    died = f"SELECT outcome FROM search_attempts WHERE trial_id = {trial} AND token = 1"  # noqa: S608
    assert stack.sql(died) == [["died"]]
    _say("its trial was taken over")


def _stop_and_go_on(stack: Stack) -> None:
    """Take all down in the midst of trials and up again: nothing is lost."""
    before = _results(stack)
    stack.down()
    assert [stack.containers(name, running=False) for name in ("postgres", "worker")] == [[], []]

    stack.up("postgres")
    (postgres,) = stack.containers("postgres")
    wait_until("PostgreSQL is healthy", lambda: _is_healthy(stack, postgres), 120)
    after = _results(stack)
    assert [row for row in before if row not in after] == []
    running = stack.sql("SELECT count(*) FROM search_trials WHERE state = 'running'")
    assert running == [["0"]], f"trials that no worker gave back: {running}"
    _say(f"down and up again: {len(after)} results are there, and no trial is held")


def _finish(stack: Stack) -> None:
    """Let two workers finish the study."""
    stack.up("dashboard")
    stack.up("worker", scale=2)
    budget = [str(_TRIALS)]
    toy = "FROM search_trials t JOIN search_studies s ON s.id = t.study_id"
    toy += " WHERE s.name = 'toy' AND t.depth = 4"  # the whole base is tried, too
    done = f"SELECT count(*) {toy} AND t.state = 'complete'"
    wait_until("the study is complete", lambda: stack.sql(done) == [budget], 900)
    for worker in stack.containers("worker", running=False):
        _ended(stack, worker)

    assert stack.sql(f"SELECT count(DISTINCT subset), count(*) {toy}") == [budget * 2]
    finished = "SELECT trial_id FROM search_attempts WHERE outcome = 'complete' GROUP BY 1"
    assert stack.sql(f"{finished} HAVING count(*) > 1") == []
    status, answer = _ask(stack, "/api/studies")
    assert status == 200
    assert {study["study_name"] for study in answer["study_summaries"]} >= {"toy/L4", "card/L4"}
    _say(f"two workers finished the study: each of {_TRIALS} trials is there once")


# observations


def _is_healthy(stack: Stack, container: str) -> bool:
    """Whether the container's own health check passes; podman runs it on demand."""
    try:
        stack.podman("healthcheck", "run", container)
    except RuntimeError:
        return False
    return True


def _ended(stack: Stack, container: str) -> str:
    """Wait until a container has ended well, and return what it printed.

    Raises:
        RuntimeError: it failed, or does not end.
    """
    wait_until(f"{container} ends", lambda: not stack.inspect(container)["State"]["Running"], 300)
    said = stack.logs(container)
    code = stack.inspect(container)["State"]["ExitCode"]
    if code != 0:
        message = f"{container} ended with {code}: {said[-2000:]}"
        raise RuntimeError(message)
    return said


def _running(stack: Stack) -> list[list[str]]:
    """Return owner and number of each trial that a worker holds."""
    return stack.sql("SELECT owner, id FROM search_trials WHERE state = 'running' ORDER BY id")


def _results(stack: Stack) -> list[list[str]]:
    """Return the trials that are complete, with their scores."""
    query = "SELECT id, subset, seed, mean FROM search_trials WHERE state = 'complete'"
    return stack.sql(f"{query} ORDER BY id")


def _check_confined(stack: Stack, container: str) -> None:
    """Check that a container is an ordinary user's, on a root that cannot be written.

    Raises:
        AssertionError: it is not.
    """
    found = stack.inspect(container)
    assert confinement(found) == {
        "read-only root": True,
        "capabilities": [],
        "no new privileges": True,
        "memory": True,
        "processes": True,
    }, (container, confinement(found))
    shown = json.dumps(found)
    assert [role for role, word in stack.passwords.items() if word in shown] == []

    status = stack.podman("exec", container, "cat", "/proc/1/status")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in lines["Uid"].split(), lines["Uid"]
    assert int(lines["CapEff"], 16) == int(lines["CapBnd"], 16) == 0
    assert lines["NoNewPrivs"] == "1"
    for path in ("/usr/mine", "/etc/mine", "/mine"):
        with suppress(RuntimeError):
            stack.podman("exec", container, "touch", path)
            message = f"{container} can write {path}"
            raise AssertionError(message)


def _ask(stack: Stack, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Return status and JSON of a request to the dashboard; 0 when nobody answers."""
    url = f"http://127.0.0.1:{stack.dashboard_port}{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our server
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None


def _print_logs(stack: Stack) -> None:
    """Print the end of what each container said."""
    for service in ("postgres", "init", "dashboard", "worker"):
        with suppress(RuntimeError):
            for name in stack.containers(service, running=False):
                print(f"--- {name}\n{stack.logs(name)[-2000:]}", file=sys.stderr)


def _say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
