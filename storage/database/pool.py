"""The pool of a process's connections to a server that has few for many workers."""

from weakref import WeakSet

from sqlalchemy import Engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty


class SharingPool(QueuePool):
    """A pool that can let go of the connections that nobody uses now."""

    def close_idle(self) -> None:
        """Close the connections that nobody uses now; their places in the pool stay."""
        idle: list[ConnectionPoolEntry] = []
        while True:
            try:
                idle.append(self._pool.get(block=False))
            except Empty:
                break
        for entry in idle:
            entry.close()
            self._do_return_conn(entry)


_engines: WeakSet[Engine] = WeakSet()
"""Engines of this process that share."""


def share(engine: Engine) -> None:
    """Close the idle connections of an engine whenever this process waits for the database."""
    _engines.add(engine)


def close_idle_connections() -> None:
    """Close the idle connections of this process.

    Of workers that each hold one connection and wait for another, none would ever get it.
    """
    for engine in list(_engines):
        if isinstance(engine.pool, SharingPool):
            engine.pool.close_idle()
