"""Judgments: scores of 0 and less are none, and others count alike."""

import json
import shutil
from pathlib import Path

import pytest

import evaluators
from evaluators.retrieval.data import (
    Collection,
    find_sets,
    fingerprint_collections,
    load_sets,
)
from evaluators.retrieval.options import EvaluationOptions
from tests.support import retrieval


def read_judged(whole: Path, folder: Path, judgments: list[dict[str, object]]) -> Collection:
    """Return the collection of a copy of the small world that holds other judgments."""
    shutil.copytree(whole / retrieval.SMALL, folder / retrieval.SMALL)
    lines = [json.dumps(judgment) + "\n" for judgment in judgments]
    path = folder / retrieval.SMALL / "qrels" / "ToyThings.jsonl"
    path.write_text("".join(lines), encoding="utf-8")

    options = EvaluationOptions(data=retrieval.SMALL, tasks=("ToyThings",))
    (collection,) = load_sets(find_sets([options], folder, "evaluator.test"))
    return collection


@pytest.fixture
def judgments(small_toy: Path) -> list[dict[str, object]]:
    """The judgments of a task of the small world, none of which has a score."""
    path = small_toy / retrieval.SMALL / "qrels" / "ToyThings.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 2
    assert all(set(row) == {"query-id", "corpus-id"} for row in rows)
    return rows


@pytest.mark.parametrize("scores", [(3, 1, 0, -1), (0.5, 1.0, 0.0, -0.5), ("2", "1", "0", "-1")])
def test_judgments_of_zero_and_less_are_none(
    scores: tuple[object, ...],
    small_toy: Path,
    judgments: list[dict[str, object]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    high, one, zero, negative = scores
    first, *others = judgments
    wrong = {**first, "corpus-id": others[0]["corpus-id"], "score": zero}
    last = {**others[-1], "score": negative}
    graded = [{**first, "score": high}, wrong, *({**j, "score": one} for j in others[:-1]), last]

    collection = read_judged(small_toy, tmp_path, graded)

    assert collection.relevant == {j["query-id"]: {j["corpus-id"]} for j in judgments[:-1]}
    (told,) = caplog.messages
    assert told.startswith("judgments are graded: a score above 0 counts as relevant")
    assert told.endswith("in ToyThings")


@pytest.mark.parametrize("score", [1, 1.0, "1"], ids=repr)
def test_judgments_of_one_are_as_good_as_without_scores(
    score: object,
    small_toy: Path,
    judgments: list[dict[str, object]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scored = read_judged(small_toy, tmp_path / "scored", [{**j, "score": score} for j in judgments])
    plain = read_judged(small_toy, tmp_path / "plain", judgments)

    assert scored == plain
    assert fingerprint_collections([scored]) == fingerprint_collections([plain])
    assert caplog.messages == []


@pytest.mark.parametrize("score", [None, "high", "nan"])
def test_a_judgment_without_a_number_is_refused(
    score: object, small_toy: Path, judgments: list[dict[str, object]], tmp_path: Path
) -> None:
    bad = [{**judgment, "score": score} for judgment in judgments]

    with pytest.raises(evaluators.InputError, match=f"ToyThings.* is a number, not {score!r}"):
        read_judged(small_toy, tmp_path, bad)
