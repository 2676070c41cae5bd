"""The stack of docker-compose.yml under podman: its commands, its containers, its database."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PODMAN_COMPOSE = "1.6.0"
"""Release of podman-compose, from the package index: the first to know `--scale` are newer than
Debian 12's.
"""

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("owner", "worker", "reader")

_PROJECT = "layer-search-check"
_COMMAND_SECONDS = 1800  # longer than the build of an image takes on two cores
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Stack:
    """One run of the compose file, under a project name, ports and volumes of its own.

    Args:
        folder: a folder for secrets, studies and settings; it is the run's alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.studies = folder / "studies"
        self.studies.mkdir()
        self.passwords = {role: f"{secrets.token_urlsafe(9)} @:/%'\"" for role in ROLES}
        self.dashboard_port = _free_port()
        self._environment = {**os.environ, **self._settings()}
        self._compose = self._install()

    def _settings(self) -> dict[str, str]:
        """Write secrets and podman's settings, and return the variables that point there."""
        private = self.folder / "secrets"
        private.mkdir(mode=0o700)
        for role, password in self.passwords.items():
            path = private / role
            path.write_text(f"{password}\n", encoding="utf-8")
            path.chmod(0o644)
        configuration = self.folder / "containers.conf"
        configuration.write_text(_CONFIGURATION, encoding="utf-8")

        return {
            "CONTAINERS_CONF": str(configuration),
            "SECRETS": str(private),
            "STUDIES": str(self.studies),
            "POSTGRES_PORT": str(_free_port()),
            "DASHBOARD_PORT": str(self.dashboard_port),
            "WORKER_MEMORY": "4g",
            "OMP_NUM_THREADS": "1",  # the model is tiny: more threads only wait
        }

    def _install(self) -> str:
        """Install podman-compose, and return its path."""
        venv = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        package = f"podman-compose=={PODMAN_COMPOSE}"
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", package]
        subprocess.run(pip, check=True, capture_output=True)
        return str(venv / "bin" / "podman-compose")

    def compose(self, *words: str, before: Sequence[str] = ()) -> str:
        """Run a command of compose, and return what it prints.

        Args:
            *words: the command and its arguments.
            before: options of compose itself.

        Raises:
            RuntimeError: it failed.
        """
        base = (self._compose, "--project-name", _PROJECT, "--in-pod=false")
        return self.run(*base, *before, *words)

    def up(self, service: str, *, scale: int = 1) -> None:
        """Start the containers of a service, but for those of others that it depends on.

        Conditions of `depends_on` need a newer podman than Debian 12's, which cannot start a chain
        of three either: whoever calls this waits instead.
        """
        self.compose("up", "--detach", "--no-deps", "--scale", f"{service}={scale}", service)

    def podman(self, *words: str) -> str:
        """Run a command of podman, and return what it prints.

        Raises:
            RuntimeError: it failed.
        """
        return self.run("podman", *words)

    def run(self, *words: str) -> str:
        """Run a command in the project's folder, and return its standard output.

        Raises:
            RuntimeError: it failed; the message has the end of its output.
        """
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            command = " ".join(words[:8])
            message = f"`{command} ...` ended with {done.returncode}: {done.stderr[-3000:]}"
            raise RuntimeError(message)
        return done.stdout

    def containers(self, service: str, *, running: bool = True) -> list[str]:
        """Return the names of the containers of a service."""
        words = ["ps", "--format", "{{.Names}}", "--sort", "created"]
        words += [] if running else ["--all"]
        for name, value in (("project", _PROJECT), ("service", service)):
            words += ["--filter", f"label=com.docker.compose.{name}={value}"]
        return self.podman(*words).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what podman knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.podman("inspect", container))
        return found[0]

    def logs(self, container: str) -> str:
        """Return everything that a container printed."""
        words = ["podman", "logs", container]
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.stdout

    def sql(self, query: str) -> list[list[str]]:
        """Return the rows of a query that the owner of the store asks in its own container."""
        (container,) = self.containers("postgres")
        words = ("psql", "--username=search", "--no-align", "--tuples-only", "--quiet")
        out = self.podman("exec", container, *words, f"--command={query}", "search")
        return [line.split("|") for line in out.splitlines()]

    def down(self) -> None:
        """Stop and remove all containers: workers first, as docker does; volumes stay."""
        workers = self.containers("worker")
        if workers:
            self.podman("stop", "--time", "60", *workers)
        self.compose("down", "--remove-orphans")

    def remove(self) -> None:
        """Remove containers and volumes; images stay."""
        self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")


def wait_until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds.

    Raises:
        RuntimeError: it did not within the time.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            message = f"after {seconds:.0f} s still not: {what}"
            raise RuntimeError(message)
        time.sleep(1)


def _free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def confinement(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits of a container, from what podman knows of it."""
    host = found["HostConfig"]
    return {
        "read-only root": host["ReadonlyRootfs"],
        "capabilities": found.get("EffectiveCaps") or [],
        "no new privileges": any("no-new-privileges" in one for one in host["SecurityOpt"]),
        "memory": host["Memory"] > 0,
        "processes": 0 < host["PidsLimit"] <= 1024,
    }
