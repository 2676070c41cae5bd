"""Training and test data: data that does not fit is refused, and code beside it is not run."""

import json
import shutil
from pathlib import Path

import pytest

import evaluators
from evaluators.retrieval.data import Collection, collections, fingerprint_collections
from evaluators.retrieval.options import EvaluationOptions
from tests.support import bases, retrieval


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1, "train": {"data": "./nowhere.jsonl"}}, "evaluator.train.data: no such file"),
        ({"steps": 1, "train": {"data": "train.jsonl", "anchor": "query"}}, "no column 'query'"),
        (
            {"steps": 1, "train": {"data": "train.jsonl", "split": "test"}},
            "evaluator.train: cannot load train.jsonl, split 'test'",
        ),
        ({"steps": 1, "batch_size": 9999}, "too few for one batch"),
        ({"steps": 1, "train": {"data": "train.jsonl", "positive": "anchor"}}, "different columns"),
        ({"test": {"data": "base"}}, r"not in NanoBEIR layout .*one split per task\): "),
        ({"test": {"data": "near/tset"}}, r"\(there is no such folder, so the hub was asked\): "),
        (
            {"test": {"data": "small", "tasks": ["NanoX"]}},
            "evaluator.test.tasks: small has no 'NanoX': it has ToyThings",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(
    options: dict[str, object], message: str, small_toy: Path
) -> None:
    test = {"data": retrieval.SMALL, "tasks": ["ToyThings"]}

    with pytest.raises(evaluators.InputError, match=message):
        retrieval.build(small_toy, {"test": test, **options})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"anchor": "a", "positive": ""}\n', "non-empty text"),
        ('{"anchor": "a", "positive": null}\n', "non-empty text"),
    ],
)
def test_training_rows_without_text_are_refused(
    rows: str, message: str, small_toy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(rows + '{"anchor": "b", "positive": "c"}\n' * 40, encoding="utf-8")

    with pytest.raises(evaluators.InputError, match=message):
        retrieval.build(small_toy, {"steps": 1, "train": {"data": str(path)}})


def test_a_data_set_with_a_script_is_refused(small_toy: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    shutil.copytree(small_toy / retrieval.SMALL, tmp_path / "data")
    script = bases.MARKING.format(marker=str(marker))
    (tmp_path / "data" / "data.py").write_text(script, encoding="utf-8")

    with pytest.raises(evaluators.InputError, match="scripts are no longer supported"):
        retrieval.build(small_toy, {"test": {"data": str(tmp_path / "data")}})
    assert not marker.exists()


def read_judged(whole: Path, folder: Path, judgments: list[dict[str, object]]) -> Collection:
    """Return the collection of a copy of the small world that holds other judgments."""
    shutil.copytree(whole / retrieval.SMALL, folder / retrieval.SMALL)
    lines = [json.dumps(judgment) + "\n" for judgment in judgments]
    path = folder / retrieval.SMALL / "qrels" / "ToyThings.jsonl"
    path.write_text("".join(lines), encoding="utf-8")

    options = EvaluationOptions(data=retrieval.SMALL, tasks=("ToyThings",))
    (collection,) = collections(options, folder)
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


def test_an_edited_local_folder_is_read_anew(small_toy: Path, tmp_path: Path) -> None:
    """Also another folder of the same name: the library's own cache knows only name and README."""
    found = []
    for number in range(2):
        folder = tmp_path / str(number) / retrieval.SMALL
        shutil.copytree(small_toy / retrieval.SMALL, folder)
        path = folder / "corpus" / "ToyThings.jsonl"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(" the ", f" the{number} "), encoding="utf-8")

        options = EvaluationOptions(data=str(folder), tasks=("ToyThings",))
        found.append(fingerprint_collections(collections(options, tmp_path)))

    assert found[0] != found[1]
