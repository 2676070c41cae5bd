"""The command `screen`: it scores all subsets, shows the best, and guides the search."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from search.space import LayerSpace, format_subset
from storage.database import write
from storage.setup import open_store
from tests.support.commands import read_error, read_json, run_command
from tests.support.replays import FIRST, write_replay
from tests.support.stores import trial_rows

FORBIDDEN = (4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20)
SPACE = LayerSpace(22, 2, 3, "free", forbidden=frozenset(FORBIDDEN))
STUDY = f"""
[study]
name = "screened"
depths = [2]
trials = 4
[space]
cadence = "free"
forbidden = {list(FORBIDDEN)}
[sampler]
name = "gp"
startup = 2
[base]
model = "base"
query_length = 32
document_length = 48
[evaluator]
name = "retrieval"
steps = 0
[evaluator.test]
data = "test"
tasks = ["ToyThings"]
[screen]
queries = 4
documents = 12
"""
GOES_ON = "`layer-search screen` goes on"


class Folder:
    """A study file with the toy base and its store, on which commands are run.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study = path / "study.toml"
        self.store = f"sqlite:///{path}/store.db"

    def run(self, command: str, *words: object) -> Any:
        """Run a command on the study file, which must succeed."""
        done = run_command(command, *words, "--store", self.store)
        assert done.returncode == 0, done.stderr
        return done

    def copy(self, to: Path) -> "Folder":
        """Return a folder with the same study and a copy of the store."""
        shutil.copytree(self.path, to, symlinks=True, dirs_exist_ok=True)
        return Folder(to)


@pytest.fixture(scope="module")
def screen(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Any]:
    """A folder in which the command was run once with `--json`, and its output."""
    folder = Folder(tmp_path_factory.mktemp("screen"))
    for name in ("base", "test"):
        (folder.path / name).symlink_to(toy / name)
    folder.study.write_text(STUDY, encoding="utf-8")
    return folder, folder.run("screen", folder.study, "--json")


@pytest.fixture(scope="module")
def launched(
    screen: tuple[Folder, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Folder, Any]:
    """A folder in which the screened study was launched, and its output."""
    folder = screen[0].copy(tmp_path_factory.mktemp("launched"))
    return folder, folder.run("launch", folder.study)


def begun(folder: Folder) -> list[str]:
    """Return the subsets that were tried, in their order."""
    engine = open_store(folder.store)
    rows = trial_rows(engine, "screened")
    engine.dispose()
    return [row["subset"] for row in rows if row["origin"] != "reference"]


# the screen


@pytest.mark.slow
def test_every_subset_is_screened_once(screen: tuple[Folder, Any], tmp_path: Path) -> None:
    folder, done = screen
    assert f"subsets screened now: {SPACE.count}" in done.stderr
    said = json.loads(done.stdout)
    assert {row["subset"] for row in said["scores"]} == {format_subset(subset) for subset in SPACE}
    assert said["subsets"] == {"2": SPACE.count}
    assert said["fits"] == []

    again = folder.copy(tmp_path).run("screen", folder.study)  # also shows the ones there are
    assert "subsets screened now: 0" in again.stderr
    assert "weights untrained" in again.stdout
    assert GOES_ON not in again.stdout


@pytest.mark.slow
def test_scores_of_other_weights_are_left_out(screen: tuple[Folder, Any]) -> None:
    folder, _ = screen
    words = ("screen", folder.study, "--show", "--weights", "supernet")
    assert "no subset was screened yet" in folder.run(*words).stdout
    assert json.loads(folder.run(*words, "--json").stdout)["scores"] == []


@pytest.mark.slow
def test_depths_are_screened_one_by_one(screen: tuple[Folder, Any], tmp_path: Path) -> None:
    folder = screen[0].copy(tmp_path)
    text = folder.study.read_text(encoding="utf-8").replace("depths = [2]", "depths = [2, 3]")
    folder.study.write_text(text, encoding="utf-8")

    done = folder.run("screen", folder.study, "--depth", 3, "--json")
    assert "study.depths: [2] -> [2, 3], taken over" in done.stderr
    said = json.loads(done.stdout)
    size = LayerSpace(22, 3, 3, "free", forbidden=frozenset(FORBIDDEN)).count
    assert f"subsets screened now: {size}" in done.stderr
    assert said["subsets"] == {"3": size}
    assert {row["depth"] for row in said["scores"]} == {3}

    wrong = run_command("screen", folder.study, "--depth", 4, "--store", folder.store)
    assert (wrong.returncode, read_error(wrong)) == (
        2,
        "error: study 'screened' has no depth 4: it has 2, 3",
    )


# the search that it guides


@pytest.mark.slow
def test_the_first_trial_is_one_that_the_screen_favours(
    screen: tuple[Folder, Any], launched: tuple[Folder, Any]
) -> None:
    scores = json.loads(screen[1].stdout)["scores"]
    folder, done = launched
    assert GOES_ON not in done.stderr
    assert "Answer of screened" in done.stdout

    tried = begun(folder)
    assert set(tried) <= {row["subset"] for row in scores}
    assert len(tried) == 4
    best = max(scores, key=lambda row: row["ndcg"] + row["agreement"])["subset"]
    top = sorted(scores, key=lambda row: -row["ndcg"])[:3]
    assert best == tried[0] or tried[0] in {row["subset"] for row in top}

    (row,) = read_json(folder.run("answer", "screened", "--json"))
    assert row["depth"] == 2
    assert row["subset"] in tried
    assert row["trials"] == 1


@pytest.mark.slow
def test_a_screen_that_was_cut_short_says_so_and_goes_on(
    launched: tuple[Folder, Any], tmp_path: Path
) -> None:
    folder = launched[0].copy(tmp_path)
    engine = open_store(folder.store)
    last = {"last": format_subset(list(SPACE)[-1])}
    with write(engine) as connection:
        connection.execute(text("DELETE FROM search_screens WHERE subset = :last"), last)
    engine.dispose()

    missing = (
        f"weights untrained: screened a random sample of {SPACE.count - 1} of {SPACE.count} subsets"
    )
    shown = folder.run("screen", folder.study, "--show").stdout
    assert missing in shown
    assert f"{SPACE.count - 1} scored, a random sample of {SPACE.count}" in shown
    assert missing in folder.run("launch", folder.study).stderr
    mended = folder.run("screen", folder.study)
    assert "subsets screened now: 1" in mended.stderr
    assert missing not in mended.stdout


# evaluators without weights


def test_a_table_cannot_be_screened(card_study: Path, tmp_path: Path) -> None:
    done = run_command("screen", card_study, "--store", f"sqlite:///{tmp_path}/store.db")
    assert done.returncode == 2
    assert read_error(done) == "error: the evaluator 'table' has no weights to screen with"
    assert not (tmp_path / "store.db").exists()


@pytest.mark.slow
def test_scores_are_shown_of_a_base_of_either_phase(tmp_path: Path, store: str) -> None:
    """The spaces are built from the store alone, which remembers the rhythm."""
    study = write_replay(tmp_path, "s", {4: 1}, FIRST[:1])
    told = study.read_text(encoding="utf-8").replace("period = 3", 'period = 6\nphase = "last"')
    asked = told.replace('"free"', '"free", period = 6, phase = "last"')
    study.write_text(asked, encoding="utf-8")
    assert run_command("launch", study, "--store", store).returncode == 0

    done = run_command("screen", study, "--show", "--store", store)
    assert (done.returncode, done.stdout) == (0, "no subset was screened yet\n")
