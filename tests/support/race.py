"""Workers that run at the same time."""

import threading
from collections.abc import Callable

from sqlalchemy import Engine

from storage.setup import open_store


def race(url: str, run: Callable[[Engine, str], None], number: int = 8) -> None:
    """Let workers run at once, each with an engine of its own, as processes have.

    Args:
        url: the store.
        run: the work of one worker; called with its engine and its name, `w0` to `w7`.
        number: how many there are.
    """
    start = threading.Barrier(number)
    broken: list[BaseException] = []

    def work(name: str) -> None:
        engine = open_store(url)
        try:
            start.wait()
            run(engine, name)
        except BaseException as error:  # noqa: BLE001 - a thread would swallow it
            broken.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
