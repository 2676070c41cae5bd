"""The recipe hash: everything that decides a score but subset and seed, and nothing else."""

import re

import pytest

from search.study.file import parse_study_file
from tests.support.study_files import FULL_DATA, change, full, short

RECIPE = {
    "base.model": "other/model",
    "base.revision": "other",
    "base.pooling": "max",
    "base.query_length": 47,
    "base.document_length": 191,
    "base.precision": "fp32",
    "evaluator.loss": "multiple-negatives-ranking",
    "evaluator.steps": 0,
    "evaluator.batch_size": 511,
    "evaluator.micro_batch": 15,
    "evaluator.learning_rate": 5.1e-5,
    "evaluator.warmup": 0.11,
    "evaluator.query_prompt": "query:",
    "evaluator.document_prompt": "",
    "evaluator.train.data": "other/triplets",
    "evaluator.train.config": "triplet",
    "evaluator.train.split": "train[:20001]",
    "evaluator.train.revision": "other",
    "evaluator.train.anchor": "other",
    "evaluator.train.positive": "other",
    "evaluator.train.negatives": ["miss_2", "miss_1"],
    "evaluator.test.data": "other/NanoBEIR",
    "evaluator.test.revision": "other",
    "evaluator.test.tasks": ["NanoMSMARCO"],
    "evaluator.test.batch_size": 17,
}
"""Keys that decide a score, with another value for each."""
SEARCH = {
    "study.name": "other",
    "study.trials": 5,
    "study.seed": 13,
    "study.attempts": 9,
    "study.replicates": 2,
    "study.margin": 0.02,
    "study.first": [],
    "space.cadence": "free",
    "space.period": 4,
    "space.keep_first": True,
    "space.pinned": [],
    "space.forbidden": [2],
    "sampler.startup": 13,
    "sampler.explore": 0.5,
    "screen.weights": "untrained",
    "screen.queries": 6,
    "screen.documents": 31,
    "screen.batch_size": 33,
    "screen.steps": 101,
    "screen.learning_rate": 2e-4,
    "screen.seed": 4,
}
"""Keys that do not."""


def test_the_recipe_is_listed_whole() -> None:
    """A key that is added must be put into one of the two lists."""
    keys = {
        f"{section}.{key}"
        for section, record in FULL_DATA.items()
        for key, value in record.items()
        if not isinstance(value, dict) or key == "trials"
    }
    keys |= {
        f"evaluator.{part}.{key}"
        for part in ("train", "test")
        for key in FULL_DATA["evaluator"][part]
    }

    # other keys have to change with these
    apart = {"study.depths", "sampler.name", "evaluator.name"}
    assert {*RECIPE, *SEARCH} == keys - apart


@pytest.mark.parametrize(("key", "value"), RECIPE.items())
def test_recipe_hash_knows(key: str, value: object) -> None:
    file = parse_study_file(change(key, value))
    assert file.recipe_hash != parse_study_file(full()).recipe_hash
    assert re.fullmatch("[0-9a-f]{64}", file.recipe_hash)


@pytest.mark.parametrize(("key", "value"), SEARCH.items())
def test_recipe_hash_ignores(key: str, value: object) -> None:
    file = parse_study_file(change(key, value))
    assert file != parse_study_file(full())
    assert file.recipe_hash == parse_study_file(full()).recipe_hash


def test_recipe_hash_ignores_other_depths_and_samplers() -> None:
    data = full() | {"sampler": {"name": "uniform"}}
    data["study"] |= {"depths": [4], "trials": 1, "first": []}
    assert parse_study_file(data).recipe_hash == parse_study_file(full()).recipe_hash


def test_recipe_hash_knows_evaluator_and_base() -> None:
    data = full()
    hashes = {parse_study_file(data).recipe_hash}
    del data["base"]
    hashes.add(parse_study_file(data).recipe_hash)
    data["evaluator"] = {"name": "table", "path": "scores.csv", "layers": 22}
    hashes.add(parse_study_file(data).recipe_hash)
    assert len(hashes) == 3


def test_spelling_out_a_default_changes_nothing() -> None:
    spelt = short("noise = 0.0\n")
    assert spelt == short()
    assert spelt.recipe_hash == short().recipe_hash
