"""The quickstart: the main job on a toy base, from nothing to an exported model."""

import gc
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluators._toy import world
from search.analysis.answer import find_answers
from search.cli.commands import demo
from search.space import format_subset
from storage.studies import find_study
from tests.support.commands import run_command
from tests.support.replays import store_at

SMALL = {
    "trials = 8": "trials = 3",
    "steps = 40": "steps = 4",
    "batch_size = 64": "batch_size = 16",
}
"""Changes to the study that leave everything to do, but little of it."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A smaller world, a base that is hardly trained, and a short study."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    gc.collect()
    gc.freeze()  # a collection runs after each trial: spare it all that was imported

    study = demo.STUDY
    for long, short in SMALL.items():
        assert study.count(long) == 1
        study = study.replace(long, short)
    monkeypatch.setattr(demo, "STUDY", study)

    monkeypatch.setattr("evaluators._toy.base.STEPS", 4)
    monkeypatch.setattr(world, "QUERIES", 12)
    monkeypatch.setattr(world, "DOCUMENTS", 60)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def count(store: Path, rows: str) -> list[tuple[int, ...]]:
    """Return the rows of a piece of SQL on the store."""
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(rows).fetchall()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_main_job_from_nothing_to_an_export(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    done = run_command("quickstart", folder)
    assert done.returncode == 0, done.stderr
    assert "quickstart, depth 4: mean NDCG@10" in done.stdout
    assert "SELECT depth, rank, subset" in done.stdout

    # what it says can be asked in SQL
    store = folder / "layer-search.db"
    ranked = "SELECT depth, count(*) FROM leaderboard GROUP BY depth ORDER BY depth"
    assert count(store, ranked) == [(4, 3), (7, 3), (22, 1)]  # the whole base, too
    scored = count(store, "SELECT count(*) FROM search_query_scores")
    assert scored == [(7 * 3 * world.QUERIES,)]

    # what each depth costs
    costs = "SELECT depth, parameters > layer_parameters, speedup > 0 FROM depths ORDER BY depth"
    assert count(store, costs) == [(depth, 1, 1) for depth in (4, 7, 22)]
    assert "quickstart: score and cost of each depth" in done.stdout

    # the answer is exported, and stock libraries load it
    with store_at(f"sqlite:///{store}") as engine:
        (best,) = find_answers(engine, find_study(engine, "quickstart"), [4])
    exported = folder / "models" / "base-L4H64-pruned"
    assert f"**{format_subset(best.subset)}**" in (exported / "README.md").read_text(
        encoding="utf-8"
    )
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "## What the cut costs" in card
    assert "NDCG@10 retained | speed-up |" in card
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(exported), device="cpu")
    assert model.encode(["the red boat"]).shape == (1, 64)

    _export_with_the_base_alone(folder, exported.name)
    again = run_command("quickstart", folder)  # everything is there, nothing runs twice
    assert again.returncode == 0, again.stderr
    assert count(store, "SELECT count(*) FROM search_trials") == [(7,)]


def _export_with_the_base_alone(folder: Path, name: str) -> None:
    """Check that an export needs neither training data nor collections."""
    hidden = {path: folder / f"other-{path}" for path in ("models", "test", "train.jsonl")}
    for path, elsewhere in hidden.items():
        (folder / path).rename(elsewhere)

    store = f"sqlite:///{folder}/layer-search.db"
    words = ("export", "quickstart", folder / "models", "--depth", 4, "--store", store)
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert (folder / "models" / name / "model.safetensors").is_file()

    # another subset than the answer
    chosen = run_command(*words[:2], folder / "chosen", *words[3:], "--subset", "0_1_2_18")
    assert chosen.returncode == 0, chosen.stderr
    assert chosen.stdout == f"wrote 0_1_2_18 to {folder / 'chosen' / name}\n"

    for path in ("test", "train.jsonl"):
        hidden[path].rename(folder / path)
