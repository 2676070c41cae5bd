"""The world of the quickstart: it can be learned, and not by words that questions share."""

import json
import random
from pathlib import Path

import pytest

from evaluators._toy import words, world

TEXTS = ("anchor", "positive", "negative", "text")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a world."""
    written = tmp_path_factory.mktemp("world")
    world.write(written)
    return written


@pytest.mark.slow
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
        for row in read_rows(path):
            texts = [row[name] for name in TEXTS if name in row]
            assert {word for text in texts for word in text.split()} <= known, path


def test_questions_and_passages_share_no_word_of_meaning(folder: Path) -> None:
    fillers = set(words.FILLERS.split())
    for row in read_rows(folder / "train.jsonl")[:500]:
        asked, told = (set(row[name].split()) - fillers for name in ("anchor", "positive"))
        assert asked
        assert not asked & told


def test_test_passages_are_never_trained_on(folder: Path) -> None:
    trained = {row[name] for row in read_rows(folder / "train.jsonl") for name in TEXTS[:3]}
    for task in world.TASKS:
        for config in ("corpus", "queries"):
            found = read_rows(folder / "test" / config / f"{task}.jsonl")
            assert not {row["text"] for row in found} & trained


def test_each_question_has_one_passage_and_its_twin_is_a_distractor(folder: Path) -> None:
    for task in world.TASKS:
        relevant = read_rows(folder / "test" / "qrels" / f"{task}.jsonl")
        corpus = {row["_id"] for row in read_rows(folder / "test" / "corpus" / f"{task}.jsonl")}
        assert len(relevant) == len({row["query-id"] for row in relevant}) == world.QUERIES
        assert {row["corpus-id"] for row in relevant} < corpus
        assert len(corpus) == world.DOCUMENTS


def test_twin_exchanges_the_adjectives_only() -> None:
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
