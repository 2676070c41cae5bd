"""A Ray cluster of several nodes on this machine, each a group of processes that can be lost."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from _cluster_study import BIN, CourseError, wait_for
from _server import find_free_port

_START_SECONDS = 120.0
_STORE_BYTES = (
    80_000_000  # of a node's shared memory: the least that Ray takes, and more than enough
)
_PAUSE_SECONDS = 5.0  # between two calls of the command `ray`, which takes seconds of a processor
_ENDED = ("succeeded", "failed", "was stopped")  # in the words of `ray job status`

Node = subprocess.Popen[bytes]
"""The process that looks after the processes of one node."""


class RayCluster:
    """A cluster whose head has no resources, so that all work is done on nodes that may be lost.

    Args:
        environment: Python environment in which `ray[default]` is installed.
        variables: environment variables of the jobs' tasks.
    """

    def __init__(self, environment: Path, variables: Mapping[str, str]) -> None:
        self._bin = environment.resolve() / "bin"
        self._tasks = {name: text for name, text in variables.items() if name != "PATH"}
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: sockets lie in it
        self._port, self._dashboard = find_free_port(), find_free_port()
        self._nodes: list[Node] = []

        path = os.pathsep.join([str(self._bin), str(BIN), os.environ["PATH"]])
        self._variables = {**os.environ, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}

    def __enter__(self) -> Self:
        """Start the head and its dashboard, which takes jobs.

        Raises:
            CourseError: the head did not start.
        """
        try:
            self._start_node(
                "--head",
                f"--port={self._port}",
                f"--dashboard-port={self._dashboard}",
                "--include-dashboard=true",
                f"--temp-dir={self._folder}",
                cpus=0,
                gpus=0,
            )
            wait_for(self._takes_jobs, _START_SECONDS, "Ray's head takes jobs", _PAUSE_SECONDS)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all nodes, and remove their files."""
        self.close()

    def close(self) -> None:
        """End all nodes, and remove their files."""
        for node in reversed(self._nodes):
            for process in _tree(node):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            node.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def version(self) -> str:
        """Version of Ray."""
        return self._run("--version").split()[-1]

    def add_node(self, *, cpus: int, gpus: int = 0) -> Node:
        """Start a node with so many (pretended) CPUs and GPUs, and wait until it is up."""
        return self._start_node(f"--address=127.0.0.1:{self._port}", cpus=cpus, gpus=gpus)

    def lose_node(self, node: Node) -> None:
        """Kill the process that a node is to Ray (its raylet), without warning."""
        raylets = [process for process in _tree(node) if process.name() == "raylet"]
        for raylet in raylets:
            raylet.send_signal(signal.SIGKILL)
        if len(raylets) != 1:
            message = f"a node has {len(raylets)} raylets"
            raise CourseError(message)

    def find_workers(self, node: Node | None = None) -> list[psutil.Process]:
        """Return the processes of `layer-search work` on one node, or on all of them."""
        found = []
        for one in self._nodes if node is None else [node]:
            for process in _tree(one):
                with suppress(psutil.Error):
                    if "layer-search" in " ".join(process.cmdline()[:2]):
                        found.append(process)
        return found

    def submit(self, folder: Path, *words: str) -> str:
        """Submit a job from a folder, and return its name."""
        name = f"job-{len(list(self._folder.glob('*.submitted')))}"
        (self._folder / f"{name}.submitted").touch()
        environment = json.dumps({"env_vars": self._tasks})
        options = (f"--working-dir={folder}", f"--runtime-env-json={environment}")

        def send() -> bool:
            try:
                self._run(
                    *("job", "submit", "--no-wait", f"--submission-id={name}"),
                    *(*options, "--", *words),
                )
            except CourseError as error:
                if "try again later" in str(error):  # the head has just been started
                    return False
                raise
            return True

        wait_for(send, _START_SECONDS, "Ray takes a job", _PAUSE_SECONDS)
        return name

    def stop(self, job: str) -> None:
        """Stop a job."""
        self._run("job", "stop", job)

    def end(self, job: str, seconds: float) -> str:
        """Return the status that a job ends with.

        Raises:
            CourseError: it did not end in time.
        """

        def look() -> str | None:
            status = self._run("job", "status", job)
            return next((end for end in _ENDED if f"{job}' {end}" in status), None)

        return wait_for(look, seconds, f"the end of {job}", _PAUSE_SECONDS)

    def log(self, job: str) -> str:
        """Return what a job has written."""
        return self._run("job", "logs", job)

    def _takes_jobs(self) -> bool:
        """Whether the dashboard of the head answers."""
        with suppress(CourseError):
            self._run("job", "list")
            return True
        return False

    def _start_node(self, *options: str, cpus: int, gpus: int) -> Node:
        """Start a node."""
        command = [
            *(str(self._bin / "ray"), "start", "--block", *options),
            *("--node-ip-address=127.0.0.1", f"--object-store-memory={_STORE_BYTES}"),
            *(f"--num-cpus={cpus}", f"--num-gpus={gpus}"),
            # by default the same on all nodes, which here share one machine
            f"--dashboard-agent-listen-port={find_free_port()}",
        ]
        path = self._folder / f"node-{len(self._nodes)}.log"
        with path.open("wb") as log:
            node = subprocess.Popen(
                command,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._nodes.append(node)

        def is_up() -> bool:
            if node.poll() is not None:
                message = f"a node of Ray ended: {path.read_text(encoding='utf-8')[-500:]}"
                raise CourseError(message)
            return "Ray runtime started" in path.read_text(encoding="utf-8")

        wait_for(is_up, _START_SECONDS, "a node of Ray starts")
        return node

    def _run(self, *words: str) -> str:
        """Run the command `ray`, and return its output.

        Raises:
            CourseError: it failed.
        """
        environment = {**self._variables, "RAY_ADDRESS": f"http://127.0.0.1:{self._dashboard}"}
        done = subprocess.run(
            [self._bin / "ray", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"ray {' '.join(words[:2])}: {done.stderr.strip()[-500:]}"
            raise CourseError(message)
        return done.stdout


def _tree(node: Node) -> list[psutil.Process]:
    """Return the processes of a node that are there, its first one included."""
    try:
        first = psutil.Process(node.pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
