"""The model card of an export: the layers, the search, and no path of anybody's machine."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from search.analysis.model_card import CutCost, DepthScores, write_card
from search.study.file import StudyFile, parse_study_file
from storage.costs import CostRecord, SpeedRecord
from storage.values.subset_key import Subset
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


SETTINGS = {
    "pooling": "cls",
    "pools_prompt": True,
    "dense": ["Dense 32 to 24, Tanh"],
    "normalize": True,
    "similarity": "dot",
    "query_prompt": "query: ",
    "document_prompt": "",
    "query_length": 32,
    "document_length": 300,
    "dimensions": None,
}


def write(file: StudyFile, folder: Path, kept: Subset = (0, 1, 2, 18), **changed: Any) -> str:
    """Return the card of `kept`."""
    study = record_of(file, folder=str(folder), **{"settings": SETTINGS, **changed})
    return write_card("mmBERT-small-L4H384-pruned", study, file, kept, DepthScores(RANKING, TASKS))


# its parts


def test_it_tells_the_layers_the_scores_and_the_search(tmp_path: Path) -> None:
    card = write(parse("jhu-clsp/mmBERT-small"), tmp_path)
    assert "# mmBERT-small-L4H384-pruned" in card
    assert "`jhu-clsp/mmBERT-small` cut to 4 of its 22 layers: **0_1_2_18**" in card
    assert 'base_model: "jhu-clsp/mmBERT-small"\n' in card
    assert "| rank | subset | mean | NanoMSMARCO | NanoNQ |" in card
    assert "| 1 | 0_1_2_21 | 0.4558 |  | 0.4193 |" in card
    assert "| 2 | **0_1_2_18** | 0.4530 | 0.5060 | 0.4283 |" in card
    assert "tried 2 subsets of depth 4 (cadence `strict`, " in card
    assert "given no fine-tune" in card
    assert "Saved with the settings of the study: `cls pooling; Dense 32 to 24, Tanh; " in card
    assert 'query of 32 tokens behind "query: "; document of 300 tokens without a prompt`' in card
    assert "not scored" not in card


def test_it_tells_the_weights_of_several_test_sets(tmp_path: Path) -> None:
    file = parse("a/b")
    sets: list[dict[str, Any]] = [
        {"test_set": name, "weight": weight, "tasks": tasks}
        for name, weight, tasks in (("ja", 0.25, 2), ("NanoBEIR-en", 0.75, 13), ("ja", 0.25, 2))
    ]
    record = record_of(file, folder=str(tmp_path))
    card = write_card("n", record, file, (0, 1, 2, 18), DepthScores(RANKING, TASKS, sets))
    assert (
        "The mean weighs test sets, within which tasks count alike: "
        "`NanoBEIR-en` 75% (tasks: 13), `ja` 25% (tasks: 2)."
    ) in card
    single = DepthScores(RANKING, TASKS, sets[:1])
    assert "weighs" not in write_card("n", record, file, (0, 1, 2, 18), single)


def test_it_tells_the_fine_tune_and_the_rhythm(tmp_path: Path) -> None:
    file = parse("a/b", steps=40, batch_size=16, train={"data": "pairs.jsonl"})
    card = write(file, tmp_path)
    assert "given 40 fine-tune steps of 16 pairs" in card
    assert "global attention at every index divisible by 3" in card
    assert "global attention" not in write(file, tmp_path, period=None)
    assert f"Recipe: `{file.recipe_hash()[:16]}`" in card


def test_it_tells_the_rhythm_of_either_phase(tmp_path: Path) -> None:
    card = write(parse("a/b"), tmp_path, period=6, phase="last")
    assert "global attention at every index one below a multiple of 6; sampler" in card
    assert "Global layers of this model" not in card


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        ((0, 1, 2, 5), "Global layers of this model, by index: 3."),
        ((5, 11, 17, 23), "Global layers of this model, by index: 0, 1, 2, 3."),
        ((0, 1, 2, 3), "No layer of this model attends globally."),
        ((5, 6, 7, 8), "No layer of this model attends globally."),  # it follows the base's
    ],
)
def test_it_tells_the_global_layers_of_a_cut_with_its_own_rhythm(
    tmp_path: Path, kept: Subset, sentence: str
) -> None:
    file = parse("a/b")
    space = file.space.model_copy(update={"cadence": "periodic"})
    file = file.model_copy(update={"space": space})
    card = write(file, tmp_path, kept, period=6, phase="last", layers=24)
    assert f"and scored. {sentence}" in card


def test_it_can_be_written_of_a_replay_without_a_base(tmp_path: Path) -> None:
    file = parse_study_file(
        {
            "study": {"name": "small", "depths": [4], "trials": 2},
            "evaluator": {"name": "table", "path": "scores.csv", "layers": 22},
        }
    )
    card = write(file, tmp_path, settings={})
    assert "`table` cut to 4 of its 22 layers" in card
    assert "encode_query" not in card


def test_the_table_ends_after_a_page_but_for_the_subset_itself(tmp_path: Path) -> None:
    file = parse("a/b")
    ranking = [
        {"rank": number, "subset": f"0_1_2_{number + 2}", "mean": 0.5} for number in range(1, 31)
    ]
    record = record_of(file, folder=str(tmp_path))
    card = write_card("x", record, file, (0, 1, 2, 29), DepthScores(ranking, []))
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


def test_it_tells_the_settings_of_a_study_that_began_before_they_were_recorded(
    tmp_path: Path,
) -> None:
    """The migration of the store wrote them into its file."""
    began = {"pooling": "mean", "similarity": "cosine", "query_prompt": "", "document_prompt": ""}
    file = parse("a/b")
    data = file.plain()
    old = parse_study_file({**data, "base": {**data["base"], **began}})

    card = write(old, tmp_path, settings=None)

    assert "`mean pooling; cosine similarity; query of 32 tokens without a prompt; " in card


# its guard

HOSTILE = (
    "\"); import os #''' ```\n\n# Forged\n<script>|x|</script> [l](http://m) ![i](j) `c` "
    "*e* www.a.b & {{ 7 * 7 }} {% if %} \x1b[2J\u202e"
)


def test_whatever_a_store_holds_stays_text(tmp_path: Path) -> None:
    """Read by a parser of Markdown, by one of YAML and by Python, as those do who open the card."""
    file = parse("a/b")
    settings = {**SETTINGS, "query_prompt": HOSTILE, "pooling": HOSTILE, "dense": [HOSTILE]}
    ranking = [row | RETAINED | {"subset": HOSTILE} for row in RANKING] + [RANKING[0] | RETAINED]
    tasks = [{"subset": "0_1_2_21", "task": HOSTILE, "score": 0.5}]
    sets = [{"test_set": HOSTILE * n, "weight": 0.5, "tasks": 1} for n in (1, 2)]
    study = record_of(
        file, folder=str(tmp_path), base=HOSTILE, settings=settings, recipe_hash=HOSTILE
    )
    file = file.model_copy(update={"sampler": {"name": HOSTILE}})
    cost = CutCost(CUT, BASE, replace(SPEED, device=HOSTILE, precision=HOSTILE))

    card = write_card(
        f"{HOSTILE}-L4", study, file, (0, 1, 2, 21), DepthScores(ranking, tasks, sets), cost
    )

    _, front, page = card.split("---\n", 2)
    assert set(yaml.safe_load(front)) == {"library_name", "pipeline_tag", "base_model", "tags"}
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    inside = [part for token in tokens for part in token.children or ()]
    assert {part.type for part in inside} <= {
        "text",
        "text_special",
        "code_inline",
        "strong_open",
        "strong_close",
    }
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1"] + ["h2"] * 3
    (block,) = [token for token in tokens if token.type == "fence"]
    (_, loaded) = ast.parse(block.content).body
    assert ast.unparse(loaded) == f"model = SentenceTransformer({f'{HOSTILE}-L4'!r})"
    assert [line for line in card.split("\n") if not line.isprintable()] == []
    rows = [line for line in card.split("\n") if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {5, 7}


def test_a_hub_id_is_one(tmp_path: Path) -> None:
    for model in ("a/b/c", "../b", 'a/b"', "a/" + "b" * 300):
        assert "base_model" not in write(parse(model), tmp_path)


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
    card = write_card("x", study, file, (0, 1, 2, 18), DepthScores(ranking, TASKS), cost)
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
