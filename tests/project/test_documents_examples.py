"""The example studies are what their comments and the documents say."""

import re
from pathlib import Path

import pytest

import evaluators
from search.study.file import read_study_file
from search.study.plan import build_space

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_examples_are_study_files_named_after_their_study() -> None:
    read = {path.stem: read_study_file(path) for path in EXAMPLES.glob("*.toml")}
    assert set(read) == {"card", "minilm", "mmbert-small"}
    assert {name: file.study.name for name, file in read.items()} == {name: name for name in read}


def test_reference_study_starts_with_the_26_subsets_of_the_card(
    card_rows: list[dict[str, str]],
) -> None:
    file = read_study_file(EXAMPLES / "mmbert-small.toml")
    pruned = [row["subset"] for row in card_rows if row["depth"] != "22"]
    assert len(pruned) == 26
    assert len(file.study.first) == 26
    assert set(file.study.first) == set(pruned)
    for depth in file.study.depths:
        known = [subset for subset in pruned if subset.count("_") == depth - 1]
        assert file.budget(depth) > 2 * len(known)  # most of the budget is the sampler's


def test_reference_study_is_the_one_of_the_documents() -> None:
    file = read_study_file(EXAMPLES / "mmbert-small.toml")
    assert file.base is not None
    assert file.base.model == "jhu-clsp/mmBERT-small"
    assert file.base.precision == "bf16"
    assert file.study.depths == (4, 7, 13)
    assert (file.space.cadence, file.space.keep_first) == ("strict", True)
    assert file.evaluator["loss"] == "cached-multiple-negatives-ranking"

    train, test = file.evaluator["train"], file.evaluator["test"]
    data = "sentence-transformers/msmarco-co-condenser-margin-mse-sym-mnrl-mean-v1"
    assert (train["data"], train["config"]) == (data, "triplet-hard")
    columns = (train["anchor"], train["positive"], train["negatives"])
    assert columns == ("query", "positive", ["negative"])
    assert (test["data"], test["tasks"]) == ("sentence-transformers/NanoBEIR-en", [])
    rows = re.fullmatch(r"train\[:(\d+)\]", train["split"])
    assert rows is not None
    assert int(rows[1]) == file.evaluator["steps"] * file.evaluator["batch_size"]  # one pass


def test_small_study_fits_a_base_of_six_layers_without_a_rhythm() -> None:
    file = read_study_file(EXAMPLES / "minilm.toml")
    assert file.base is not None
    assert file.base.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert (file.space.cadence, file.space.keep_first) == ("free", False)

    base = evaluators.Description("all-MiniLM-L6-v2", layers=6, period=None)
    counts = {depth: build_space(file, depth, base).count for depth in file.study.depths}
    assert counts == {2: 15, 3: 20, 4: 15}
    assert all(file.budget(depth) <= count for depth, count in counts.items())


def test_means_of_the_card_are_those_of_its_tasks(card_rows: list[dict[str, str]]) -> None:
    assert len(card_rows) == 27
    for row in card_rows:
        scores = [float(score) for name, score in row.items() if name.startswith("Nano")]
        # both are rounded to four decimals
        assert sum(scores) / 13 == pytest.approx(float(row["mean"]), abs=1e-4)
