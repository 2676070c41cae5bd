"""The model card of an export: the layers, the search, and no path of anybody's machine."""

from pathlib import Path
from typing import Any

import pytest

from search.analysis.model_card import CutCost, write_card
from search.study.file import StudyFile, parse_study_file
from storage.costs import CostRecord, SpeedRecord
from storage.subset_key import Subset
from tests.support.study_files import record_of

RANKING = [
    {"rank": 1, "subset": "0_1_2_21", "mean": 0.4558},
    {"rank": 2, "subset": "0_1_2_18", "mean": 0.4530},
]
TASKS = [
    {"subset": "0_1_2_21", "task": "NanoNQ", "score": 0.4193},
    {"subset": "0_1_2_18", "task": "NanoNQ", "score": 0.4283},
    {"subset": "0_1_2_18", "task": "NanoMSMARCO", "score": 0.5060},
]


def parse(model: str, **evaluator: object) -> StudyFile:
    """Return a study file that cuts `model`, with more keys for its evaluator."""
    return parse_study_file(
        {
            "study": {"name": "small", "depths": [4], "trials": 2},
            "base": {"model": model, "query_length": 32, "document_length": 300},
            "evaluator": {"name": "retrieval", "steps": 0, **evaluator},
        }
    )


def write(file: StudyFile, folder: Path, kept: Subset = (0, 1, 2, 18), **changed: Any) -> str:
    """Return the card of `kept`."""
    study = record_of(file, folder=str(folder), **changed)
    return write_card("mmBERT-small-L4H384-pruned", study, file, kept, RANKING, TASKS)


# its parts


def test_it_tells_the_layers_the_scores_and_the_search(tmp_path: Path) -> None:
    card = write(parse("jhu-clsp/mmBERT-small"), tmp_path)
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


def test_it_tells_the_fine_tune_and_the_rhythm(tmp_path: Path) -> None:
    file = parse("a/b", steps=40, batch_size=16, train={"data": "pairs.jsonl"})
    card = write(file, tmp_path)
    assert "given 40 fine-tune steps of 16 pairs" in card
    assert "global attention at every index divisible by 3" in card
    assert "global attention" not in write(file, tmp_path, period=None)
    assert f"Recipe: `{file.recipe_hash[:16]}`" in card


def test_it_can_be_written_of_a_replay_without_a_base(tmp_path: Path) -> None:
    file = parse_study_file(
        {
            "study": {"name": "small", "depths": [4], "trials": 2},
            "evaluator": {"name": "table", "path": "scores.csv", "layers": 22},
        }
    )
    card = write(file, tmp_path)
    assert "`table` cut to 4 of its 22 layers" in card
    assert "encode_query" not in card
    assert "# mean pooling" in card


def test_the_table_ends_after_a_page_but_for_the_subset_itself(tmp_path: Path) -> None:
    file = parse("a/b")
    ranking = [
        {"rank": number, "subset": f"0_1_2_{number + 2}", "mean": 0.5} for number in range(1, 31)
    ]
    card = write_card("x", record_of(file, folder=str(tmp_path)), file, (0, 1, 2, 29), ranking, [])
    rows = [line.split(" | ")[0] for line in card.splitlines() if line.startswith("| ")]
    assert rows == ["| rank", "| ---", *(f"| {number}" for number in [*range(1, 21), 27])]


# its manners


@pytest.mark.parametrize("written", ["absolute", "relative"])
def test_it_never_names_a_folder_of_this_machine(written: str, tmp_path: Path) -> None:
    folder = tmp_path / "private" / "mmBERT-small"
    folder.mkdir(parents=True)
    model = str(folder) if written == "absolute" else "private/mmBERT-small"
    card = write(parse(model), tmp_path)
    assert "private" not in card
    assert "base_model" not in card
    assert "`mmBERT-small` cut to 4" in card


def test_it_says_when_the_subset_was_not_scored(tmp_path: Path) -> None:
    assert "was not scored in the study" in write(parse("a/b"), tmp_path, (0, 4, 8, 9))


# what the cut costs

CUT = CostRecord(106_000_000, 98_304_000, 7_670_000, 424_000_000, 16_000_000, 17_400_000)
BASE = CostRecord(140_500_000, 98_304_000, 42_190_000, 562_000_000, 88_000_000, 96_000_000)
SPEED = SpeedRecord("Abacus 9", 4.256, 4.0, 4.5, 900.0, 200.0, 7, 64, 32, 2, "fp32")
RETAINED = {"retained": 0.8795, "retained_low": 0.84, "retained_high": 0.9211}
UNKNOWN = dict.fromkeys(RETAINED)


def cost_lines(tmp_path: Path, cost: CutCost | None, **changed: object) -> list[str]:
    """Return the lines of a card's section on the cost."""
    file = parse("a/b")
    ranking = [row | UNKNOWN | changed for row in RANKING]
    study = record_of(file, folder=str(tmp_path))
    card = write_card("x", study, file, (0, 1, 2, 18), ranking, TASKS, cost)
    before, _, after = card.partition("## What the cut costs\n\n")
    assert bool(after) == (cost is not None), before
    return after.partition("\n\n##")[0].splitlines()


def test_it_has_the_cost_beside_that_of_the_base(tmp_path: Path) -> None:
    lines = cost_lines(tmp_path, CutCost(CUT, BASE, SPEED), **RETAINED)
    assert lines[0].endswith("| operations per document token | NDCG@10 retained | speed-up |")
    assert lines[2:4] == [
        "| 4 | 106.0 M | 424.0 MB | 17.4 M | 0.879 (95 %: 0.840 to 0.921) | 4.26 |",
        "| 22 | 140.5 M | 562.0 MB | 96.0 M | 1.000 | 1.00 |",
    ]
    assert "on Abacus 9 (2 threads, batches of 32, fp32)" in lines[-1]


def test_it_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    lines = cost_lines(tmp_path, CutCost(CUT, BASE, None))
    assert lines == [
        "| layers | parameters | weights | operations per document token |",
        "| --- | --- | --- | --- |",
        "| 4 | 106.0 M | 424.0 MB | 17.4 M |",
        "| 22 | 140.5 M | 562.0 MB | 96.0 M |",
    ]


def test_a_share_may_have_no_interval(tmp_path: Path) -> None:
    lines = cost_lines(tmp_path, CutCost(CUT, BASE, None), retained=0.5)
    assert lines[2].endswith("| 0.500 |")


def test_an_evaluator_without_models_has_no_cost(tmp_path: Path) -> None:
    assert cost_lines(tmp_path, None) == []
