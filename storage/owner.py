"""Names workers, and tells whether one of this host is still there."""

import os
import socket
from pathlib import Path

import psutil


def this_worker() -> str:
    """Name of this process that no other process, past or present, shares."""
    return _owner(os.getpid())


def _owner(pid: int) -> str:
    """host:pid:start:boot:namespace; a reused pid starts later, a container has its own namespace.

    Hosts may share a name, and the first namespace has one number on all of them: `boot` tells them
    apart. `start` counts ticks from boot where it can: a start by the wall clock moves with it.
    """
    process = psutil.Process(pid)
    stat, boot, namespace = map(
        Path, (f"/proc/{pid}/stat", "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")
    )
    if not (stat.exists() and boot.exists() and namespace.exists()):
        return f"{socket.gethostname()}:{pid}:{process.create_time():.2f}:"
    start = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    inside = f"{boot.read_text(encoding='ascii').strip()}:{namespace.readlink()}"
    return f"{socket.gethostname()}:{pid}:{start}:{inside}"


def is_dead(owner: str) -> bool:
    """Whether `owner` was a process of this host that has ended; False where we cannot know."""
    host, pid, *rest = owner.split(":", 3)
    mine = this_worker().split(":", 3)
    if host != mine[0] or len(rest) != 2 or rest[1] != mine[3]:  # noqa: PLR2004 - start, boot
        return False
    try:
        if psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE:
            return True  # ended, and its parent has not asked how
        return _owner(int(pid)) != owner
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except psutil.AccessDenied:
        return False
