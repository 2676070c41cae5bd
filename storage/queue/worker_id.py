"""Names of workers, which tell whether a worker of this host is still there."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class WorkerId:
    """Name of one process that no other process, past or present, shares.

    Its text is `host:pid:start:boot`. A number of a process is used again, but later; a container
    counts its processes anew, but in a namespace of its own; hosts may share a name, and the first
    namespace has one number on all of them, but they booted at different times.

    Attributes:
        host: name of the host.
        pid: number of the process, as text.
        start: ticks from boot to its start where the system tells, which no change of the wall
            clock moves; else the time of its start.
        boot: id of the boot and namespace of the processes, `boot:namespace`; empty where the
            system tells neither.
    """

    host: str
    pid: str
    start: str
    boot: str

    def __str__(self) -> str:
        """Return the text that the store holds."""
        return f"{self.host}:{self.pid}:{self.start}:{self.boot}"

    @classmethod
    def parse(cls, text: str) -> "WorkerId":
        """Return the worker that `text` names; parts that it lacks are empty."""
        parts = text.split(":", 3)
        return cls(*parts, *[""] * (4 - len(parts)))

    @classmethod
    def of_process(cls, pid: int) -> "WorkerId":
        """Return the name of the running process `pid` of this host.

        Raises:
            psutil.NoSuchProcess: there is no such process.
        """
        process = psutil.Process(pid)
        stat, boot, namespace = map(
            Path, (f"/proc/{pid}/stat", "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")
        )
        if not (stat.exists() and boot.exists() and namespace.exists()):
            return cls(socket.gethostname(), str(pid), f"{process.create_time():.2f}", "")

        # the fields behind the name of the program, which stands in brackets and may hold anything
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        inside = f"{boot.read_text(encoding='ascii').strip()}:{namespace.readlink()}"
        return cls(socket.gethostname(), str(pid), fields[19], inside)

    @classmethod
    def current(cls) -> "WorkerId":
        """Return the name of this process."""
        return cls.of_process(os.getpid())

    def has_ended(self) -> bool:
        """Whether it was a process of this host that has ended; False where nobody can know."""
        return self._is_alive() is False

    def is_alive(self) -> bool:
        """Whether it is a process of this host that runs or pauses; False where nobody can know."""
        return self._is_alive() is True

    def _is_alive(self) -> bool | None:
        """Return whether its process is there; None where nobody can know."""
        here = WorkerId.current()
        if (self.host, self.boot) != (here.host, here.boot) or not self.pid.isdecimal():
            return None

        pid = int(self.pid)
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False  # ended, and its parent has not asked how
            return WorkerId.of_process(pid) == self
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return False
        except psutil.AccessDenied:
            return None
