"""The recipe hash: everything that decides a score but subset and seed, and nothing else."""

import re

import pytest

from search.space import cadences
from search.study.file import parse_study_file
from tests.support.study_files import FULL_DATA, change, full, short

RECIPE = {
    "base.model": "other/model",
    "base.revision": "other",
    "base.pooling": "max",
    "base.dense": True,
    "base.normalize": False,
    "base.similarity": "cosine",
    "base.query_length": 47,
    "base.document_length": 191,
    "base.rhythm": True,
    "base.precision": "fp32",
    "evaluator.loss": "multiple-negatives-ranking",
    "evaluator.steps": 0,
    "evaluator.batch_size": 511,
    "evaluator.micro_batch": 15,
    "evaluator.learning_rate": 5.1e-5,
    "evaluator.warmup": 0.11,
    "base.query_prompt": "query:",
    "base.document_prompt": "",
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
    "evaluator.test.name": "other",
    "evaluator.test.weight": 0.5,
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
    "study.reference": True,
    "space.cadence": "free",
    "space.period": 4,
    "space.phase": "last",
    "space.keep_first": True,
    "space.pinned": [],
    "space.forbidden": [2],
    "sampler.startup": 13,
    "sampler.explore": 0.5,
    "evaluator.heldout.data": "yet/another",
    "evaluator.heldout.revision": "other",
    "evaluator.heldout.tasks": [],
    "evaluator.heldout.batch_size": 9,
    "evaluator.heldout.name": "other",
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
        for part in ("train", "test", "heldout")
        for key in FULL_DATA["evaluator"][part]
    }

    # other keys have to change with these
    apart = {"study.depths", "sampler.name", "evaluator.name"}
    assert {*RECIPE, *SEARCH} == keys - apart


@pytest.mark.parametrize(("key", "value"), RECIPE.items())
def test_recipe_hash_knows(key: str, value: object) -> None:
    file = parse_study_file(change(key, value))
    assert file.recipe_hash() != parse_study_file(full()).recipe_hash()
    assert re.fullmatch("[0-9a-f]{64}", file.recipe_hash())


@pytest.mark.parametrize(("key", "value"), SEARCH.items())
def test_recipe_hash_ignores(key: str, value: object) -> None:
    file = parse_study_file(change(key, value))
    assert file != parse_study_file(full())
    assert file.recipe_hash() == parse_study_file(full()).recipe_hash()


def test_recipe_hash_ignores_other_depths_and_samplers() -> None:
    data = full() | {"sampler": {"name": "uniform"}}
    data["study"] |= {"depths": [4], "trials": 1, "first": []}
    assert parse_study_file(data).recipe_hash() == parse_study_file(full()).recipe_hash()


def test_recipe_hash_knows_evaluator_and_base() -> None:
    data = full()
    hashes = {parse_study_file(data).recipe_hash()}
    del data["base"]
    hashes.add(parse_study_file(data).recipe_hash())
    data["evaluator"] = {"name": "table", "path": "scores.csv", "layers": 22}
    hashes.add(parse_study_file(data).recipe_hash())
    assert len(hashes) == 3


@pytest.mark.parametrize("cadence", cadences.names())
def test_recipe_hash_knows_rhythms_of_their_own(cadence: str) -> None:
    """The same subset is another model then; all other rules cut alike."""
    file = parse_study_file(change("space.cadence", cadence) if cadence != "anchored" else full())
    assert file.own_rhythm == (cadence == "periodic")
    assert (file.recipe_hash() == parse_study_file(full()).recipe_hash()) == (not file.own_rhythm)


def test_recipe_hash_is_that_of_release_0_3() -> None:
    """So that trials of an older replay go on to teach newer ones of the same recipe."""
    assert short("period = 3\n").recipe_hash() == (
        "ce6284c58d7c2e71445904aad4ec20f432ddbc3db86d1c0ea3878fa85d9db241"
    )
    last = short('period = 3\nphase = "last"\n')
    assert last.recipe_hash() != short("period = 3\n").recipe_hash()


def test_spelling_out_a_default_changes_nothing() -> None:
    spelt = short("noise = 0.0\n")
    assert spelt == short()
    assert spelt.recipe_hash() == short().recipe_hash()


def test_a_study_file_of_release_3_is_recorded_as_it_was() -> None:
    """And so has the hash that it had, if it names no set and gives no weight."""
    plain = {"data": "some/data", "revision": None, "tasks": ["a"], "batch_size": 16}
    data = full()
    del data["evaluator"]["heldout"]
    for test in (plain, {**plain, "weight": 1.0}, [plain]):
        data["evaluator"]["test"] = test
        recorded = parse_study_file(data).plain()["evaluator"]
        assert recorded["test"] == plain
        assert "heldout" not in recorded

    data["evaluator"]["train"]["negatives"] = "misses"
    recorded = parse_study_file(data).plain()["evaluator"]
    assert recorded["train"]["negatives"] == ["misses"]


def test_recipe_hash_knows_every_set_and_its_weight() -> None:
    data, hashes = full(), set()
    one, other = {"data": "a/one"}, {"data": "a/other"}
    for sets in ([one], [one, other], [other, one], [one, {**other, "weight": 2.0}]):
        data["evaluator"]["test"] = sets
        hashes.add(parse_study_file(data).recipe_hash())
    assert len(hashes) == 4


def test_the_recipe_has_no_held_out_set() -> None:
    assert "heldout" in parse_study_file(full()).plain()["evaluator"]
    assert "heldout" not in parse_study_file(full()).recipe()["evaluator"]
