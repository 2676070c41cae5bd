"""The quickstart: a world that can be learned, and the main job on it from end to end."""

import json
import random
import sqlite3
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from evaluators._toy import base, words, world
from search import answers
from search.cli import export, quickstart
from storage import setup, studies

TEXTS = ("anchor", "positive", "negative", "text")


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("world")
    world.write(written)
    return written


def test_the_same_seed_writes_the_same_world(folder: Path, tmp_path: Path) -> None:
    world.write(tmp_path)
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(names) == 1 + 1 + 3 * len(world.TASKS)
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in names)
    world.write(tmp_path, seed=1)
    assert (tmp_path / "train.jsonl").read_bytes() != (folder / "train.jsonl").read_bytes()


def test_every_word_is_in_the_vocabulary(folder: Path) -> None:
    known = set(words.vocabulary())
    for path in folder.rglob("*.jsonl"):
        for row in rows(path):
            texts = [row[name] for name in TEXTS if name in row]
            assert {word for text in texts for word in text.split()} <= known, path


def test_questions_and_passages_share_no_word_of_meaning(folder: Path) -> None:
    fillers = set(words.FILLERS.split())
    for row in rows(folder / "train.jsonl")[:500]:
        asked, told = (set(row[name].split()) - fillers for name in ("anchor", "positive"))
        assert asked
        assert not asked & told


def test_test_passages_are_never_trained_on(folder: Path) -> None:
    trained = {row[name] for row in rows(folder / "train.jsonl") for name in TEXTS[:3]}
    for task in world.TASKS:
        for config in ("corpus", "queries"):
            texts = {row["text"] for row in rows(folder / "test" / config / f"{task}.jsonl")}
            assert not texts & trained


def test_each_question_has_one_passage_and_its_twin_is_a_distractor(folder: Path) -> None:
    for task in world.TASKS:
        judged = rows(folder / "test" / "qrels" / f"{task}.jsonl")
        corpus = {row["_id"] for row in rows(folder / "test" / "corpus" / f"{task}.jsonl")}
        assert len(judged) == len({row["query-id"] for row in judged}) == world.QUERIES
        assert {row["corpus-id"] for row in judged} < corpus
        assert len(corpus) == world.DOCUMENTS


def test_a_twin_exchanges_the_adjectives_only() -> None:
    scene = world.Scene.draw(random.Random(5))
    twin = scene.twin()
    assert twin != scene
    assert twin.twin() == scene
    for seed in range(3):
        told = scene.passage(random.Random(seed)).split()
        assert sorted(told) == sorted(twin.passage(random.Random(seed)).split())


def test_no_word_has_two_meanings() -> None:
    with pytest.raises(ValueError, match="two meanings"):
        words._pairs("boat/vessel ship/vessel")


def test_the_main_job_from_nothing_to_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = quickstart.STUDY.replace("trials = 8", "trials = 3").replace("steps = 40", "steps = 4")
    assert small.count("trials = 3") == small.count("steps = 4") == 1
    monkeypatch.setattr(base, "STEPS", 4)
    monkeypatch.setattr(quickstart, "STUDY", small)
    folder = tmp_path / "quickstart"
    quickstart.quickstart(folder)
    printed = capsys.readouterr().out
    assert "quickstart, depth 4: mean NDCG@10" in printed
    assert "SELECT depth, rank, subset" in printed
    with sqlite3.connect(folder / "layer-search.db") as connection:
        query = "SELECT depth, count(*) FROM leaderboard GROUP BY depth ORDER BY depth"
        assert connection.execute(query).fetchall() == [(4, 3), (7, 3)]
        (scored,) = connection.execute("SELECT count(*) FROM search_query_scores").fetchone()
    connection.close()
    assert scored == 6 * 3 * world.QUERIES
    engine = setup.open_store(f"sqlite:///{folder}/layer-search.db")
    (best,) = answers.of_study(engine, studies.find(engine, "quickstart"), [4])
    engine.dispose()
    exported = folder / "models" / "base-L4H64-pruned"
    assert f"**{best.subset}**" in (exported / "README.md").read_text(encoding="utf-8")
    model = SentenceTransformer(str(exported), device="cpu")
    assert model.encode(["the red boat"]).shape == (1, 64)
    train = folder / "train.jsonl"
    train.rename(folder / "elsewhere.jsonl")
    for name in ("models", "test"):
        (folder / name).rename(folder / f"other-{name}")
    store = f"sqlite:///{folder}/layer-search.db"
    export.export("quickstart", folder / "models", depth=4, store=store)  # needs the base alone
    assert (folder / "models" / exported.name / "model.safetensors").is_file()
    (folder / "elsewhere.jsonl").rename(train)
    (folder / "other-test").rename(folder / "test")
    quickstart.quickstart(folder)  # again: everything is there, nothing runs twice
    with sqlite3.connect(folder / "layer-search.db") as connection:
        assert connection.execute("SELECT count(*) FROM search_trials").fetchone() == (6,)
    connection.close()
