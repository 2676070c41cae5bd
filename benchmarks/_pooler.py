"""A PgBouncer before a server, which lends its few connections for one transaction at a time."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

MISSING = "needs the program pgbouncer, which Debian has in its package of that name"

_START_SECONDS = 10
_USER = "nobody"  # runs it when this process is root's, which it refuses to serve


def find_program() -> str | None:
    """Return the path of PgBouncer, which Debian keeps where only administrators look."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Pooler:
    """PgBouncer in transaction pooling, with the settings that its package brings.

    Args:
        url: a database on a TCP port of this machine, which asks for no password.
        size: connections to the server at most.
    """

    def __init__(self, url: str, size: int) -> None:
        self._server = make_url(url)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._size = size
        self._folder = Path(tempfile.mkdtemp(prefix="pooler-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of the database through the pooler."""
        return self._server.set(port=self._port).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        """Start it, and wait until it takes connections.

        Raises:
            RuntimeError: it is not installed, or did not start.
        """
        program = find_program()
        if program is None:
            raise RuntimeError(MISSING)
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(self._describe(), encoding="utf-8")
        self._folder.chmod(0o755)

        user = _USER if os.geteuid() == 0 else None
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, settings], user=user, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _describe(self) -> str:
        """Return its settings."""
        server = self._server
        return f"""
[databases]
* = host={server.host} port={server.port} user={server.username}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self._port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {self._size}
"""

    def _wait(self) -> None:
        """Wait until it takes connections.

        Raises:
            RuntimeError: it did not start; the message holds the end of its log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.05)
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        message = f"PgBouncer did not start: {log[-2000:]}"
        raise RuntimeError(message)
