"""The model card of an export: what it is, how it was found, and no path of anybody's machine."""

from pathlib import Path

import pytest

from search import modelcard, studyfile
from search.studyfile import StudyFile
from storage.studies import StudyRecord

RANKING = [
    {"rank": 1, "subset": "0_1_2_21", "mean": 0.4558},
    {"rank": 2, "subset": "0_1_2_18", "mean": 0.4530},
]
TASKS = [
    {"subset": "0_1_2_21", "task": "NanoNQ", "score": 0.4193},
    {"subset": "0_1_2_18", "task": "NanoNQ", "score": 0.4283},
    {"subset": "0_1_2_18", "task": "NanoMSMARCO", "score": 0.5060},
]


def study(model: str, folder: Path) -> tuple[StudyRecord, StudyFile]:
    file = studyfile.parse(
        {
            "study": {"name": "small", "depths": [4], "trials": 2},
            "base": {"model": model, "query_length": 32, "document_length": 300},
            "evaluator": {"name": "retrieval", "steps": 0},
        }
    )
    record = StudyRecord(
        id=1,
        uid="u",
        name="small",
        file=file.plain(),
        folder=str(folder),
        recipe_hash=file.recipe_hash,
        base=Path(model).name,
        layers=22,
        period=3,
        fingerprints={},
        versions={},
        budgets={4: 2},
    )
    return record, file


def write(model: str, folder: Path, kept: tuple[int, ...] = (0, 1, 2, 18)) -> str:
    record, file = study(model, folder)
    return modelcard.write("mmBERT-small-L4H384-pruned", record, file, kept, RANKING, TASKS)


def test_it_tells_the_layers_the_scores_and_the_search(tmp_path: Path) -> None:
    card = write("jhu-clsp/mmBERT-small", tmp_path)
    assert "# mmBERT-small-L4H384-pruned" in card
    assert "`jhu-clsp/mmBERT-small` cut to 4 of its 22 layers: **0_1_2_18**" in card
    assert "base_model: jhu-clsp/mmBERT-small\n" in card
    assert "| rank | subset | mean | NanoMSMARCO | NanoNQ |" in card
    assert "| 1 | 0_1_2_21 | 0.4558 |  | 0.4193 |" in card
    assert "| 2 | **0_1_2_18** | 0.4530 | 0.5060 | 0.4283 |" in card
    assert "tried 2 subsets of depth 4 (cadence `strict`, " in card
    assert "given no fine-tune" in card
    assert "`encode_query` reads 32 tokens and `encode_document` 300" in card
    assert "not scored" not in card


@pytest.mark.parametrize("written", ["absolute", "relative"])
def test_it_never_names_a_folder_of_this_machine(written: str, tmp_path: Path) -> None:
    folder = tmp_path / "private" / "mmBERT-small"
    folder.mkdir(parents=True)
    model = str(folder) if written == "absolute" else "private/mmBERT-small"
    card = write(model, tmp_path)
    assert "private" not in card
    assert "base_model" not in card
    assert "`mmBERT-small` cut to 4" in card


def test_it_says_when_the_subset_was_not_scored(tmp_path: Path) -> None:
    assert "was not scored in the study" in write("a/b", tmp_path, (0, 4, 8, 9))
