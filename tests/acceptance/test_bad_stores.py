"""Stores that cannot be used, and requests that fit none: one clear line, nothing changed."""

import shutil
from pathlib import Path

import pytest

from tests.support.commands import run_command
from tests.support.mistakes import LAUNCH, Mistake, assert_refused, scores, write_good

# where there is no store

ABSENT = {
    "store that is no URL": Mistake(
        ("not a database URL", "sqlite:///"), command=(*LAUNCH, "--store", "here.db")
    ),
    "store on another database": Mistake(
        ("'mysql' is not supported", "postgresql://"), command=(*LAUNCH, "--store", "mysql://h/d")
    ),
    "store in memory": Mistake(("must be a file",), command=(*LAUNCH, "--store", "sqlite://")),
    "store without a database": Mistake(
        ("names no database", "postgresql://"), command=(*LAUNCH, "--store", "postgresql://h")
    ),
    "store in a missing folder": Mistake(
        ("no such folder", "none"), command=(*LAUNCH, "--store", "sqlite:///none/store.db")
    ),
    "unreachable server": Mistake(
        ("cannot use the store postgresql://ann:***@127.0.0.1:1/d", "refused"),
        command=("studies", "--store", "postgresql://ann:secret@127.0.0.1:1/d"),
        code=1,
    ),
    "file that is no store": Mistake(
        ("store.db", "not a database"),
        command=("studies",),
        files=(("store.db", b"notes\n" * 99),),
        code=1,
    ),
}
READING = (
    "studies",
    "leaderboard",
    "leaderboard good",
    "trials good",
    "answer good",
    "compare good 0_1_2_18 0_1_2_21",
    "work",
    "replicate good",
    "release gpu-7",
    "delete good --yes",
    "screen study.toml --show",
    "export good models --depth 4",
)
"""Commands that need a store."""


@pytest.mark.parametrize("name", ABSENT)
def test_store_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    assert_refused(ABSENT[name], tmp_path)


@pytest.mark.parametrize("line", READING)
def test_store_that_is_not_there(line: str, tmp_path: Path) -> None:
    hint = ("no store at store.db", "layer-search launch")
    assert_refused(Mistake(hint, command=tuple(line.split())), tmp_path)


# where the good study is finished

PRESENT = {
    "changed study file": Mistake(
        ("study.seed (stored: 0, in the file: 1)", "new name"),
        ("depths", "seed = 1\ndepths"),
    ),
    "evaluating with a changed study file": Mistake(
        ("study.seed (stored: 0, in the file: 1)", "new name"),
        ("depths", "seed = 1\ndepths"),
        ("evaluate", "study.toml", "--subset", "0_1_2_3"),
    ),
    "changed data": Mistake(
        ("other content of table", "new name"),
        files=scores("subset,mean\n0_1_2_18,0.5\n"),
    ),
    "export of scores alone": Mistake(
        ("uses the evaluator 'table', which has no model",),
        command=("export", "good", "models", "--depth", "4"),
    ),
    "export of a depth without trials": Mistake(
        ("no complete trial of depth 5", "--subset"),
        command=("export", "good", "models", "--depth", "5"),
    ),
    "export of a subset of another depth": Mistake(
        ("0_1_2 keeps 3 layers, not --depth 4",),
        command=("export", "good", "models", "--depth", "4", "--subset", "0_1_2"),
    ),
    "export of a subset that is none": Mistake(
        ("'best' is not a subset",),
        command=("export", "good", "models", "--depth", "4", "--subset", "best"),
    ),
    "top 0": Mistake(
        ("'--top'", "greater than or equal to 1"), command=("leaderboard", "--top", "0")
    ),
    "worker without its data": Mistake(
        ("no such file", "card.csv"), command=("work", "--folder", "elsewhere")
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the good study is finished."""
    folder = tmp_path_factory.mktemp("finished")
    done = run_command("launch", write_good(folder), "--store", f"sqlite:///{folder}/store.db")
    assert done.returncode == 0, done.stderr
    return folder / "store.db"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A folder with a copy of that store."""
    shutil.copy(finished, tmp_path / "store.db")
    return tmp_path


@pytest.mark.parametrize("name", PRESENT)
def test_request_that_does_not_fit_the_store(name: str, folder: Path) -> None:
    assert_refused(PRESENT[name], folder)


@pytest.mark.parametrize(
    "line",
    [
        "leaderboard bad",
        "trials bad",
        "answer bad",
        "compare bad 0_1_2_18 0_1_2_21",
        "work bad",
        "replicate bad",
        "release gpu-7 --study bad",
        "delete bad --yes",
        "export bad models --depth 4",
    ],
)
def test_study_that_the_store_does_not_hold(line: str, folder: Path) -> None:
    says = ("no study 'bad'", "it holds good")
    assert_refused(Mistake(says, command=tuple(line.split())), folder)
