"""The study file: which keys it takes, and the record it becomes."""

import csv
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import evaluators
from evaluators import retrieval
from search.errors import InputError
from search.space import format_subset, parse_subset
from search.study.file import (
    SpaceOptions,
    StudyOptions,
    evaluator_options,
    parse_study_file,
    read_study_file,
    sampler_options,
)
from search.study.plan import plan_depths
from tests.support.study_files import (
    FULL,
    FULL_DATA,
    MINILM,
    MMBERT,
    SHORT,
    full,
    write_file,
)

EXAMPLES = Path(__file__).parents[3] / "examples"


# every key


def test_every_key_is_read(tmp_path: Path) -> None:
    file = read_study_file(write_file(tmp_path, FULL))
    assert file.study == StudyOptions(
        name="mmbert-small.v1",
        depths=(4, 7, 13),
        trials={4: 40, 7: 80, 13: 60},
        seed=12,
        attempts=5,
        replicates="auto",
        margin=0.01,
        first=("front", "0_1_2_18", "0_1_2_3_6_8_18", "back"),
        reference=False,
    )

    assert file.space == SpaceOptions(
        cadence="anchored",
        period=3,
        phase="first",
        keep_first=False,
        pinned=(18,),
        forbidden=(1, 20),
    )

    assert file.base == evaluators.BaseOptions(
        model="jhu-clsp/mmBERT-small",
        revision="abc123",
        pooling="cls",
        dense=False,
        normalize=True,
        similarity="dot",
        query_prompt="query: ",
        document_prompt="passage: ",
        query_length=48,
        document_length=192,
        rhythm=False,
        precision="bf16",
    )

    assert file.sampler == {"name": "swap", "startup": 12, "explore": 0.25}
    # the rest is as it was written
    heldout = [FULL_DATA["evaluator"]["heldout"]]  # always a list: it came after release 0.3
    assert file.evaluator == FULL_DATA["evaluator"] | {"heldout": heldout}
    assert file.screen.model_dump() == FULL_DATA["screen"]


def test_full_example_names_every_key() -> None:
    """So that the tests above and below cannot forget one."""
    assert set(FULL_DATA["study"]) == set(StudyOptions.model_fields)
    assert set(FULL_DATA["space"]) == set(SpaceOptions.model_fields)
    assert set(FULL_DATA["base"]) == set(evaluators.BaseOptions.model_fields)
    assert set(FULL_DATA["evaluator"]) == {"name", *retrieval.Options.model_fields}
    assert set(FULL_DATA["evaluator"]["train"]) == set(retrieval.TrainOptions.model_fields)
    assert set(FULL_DATA["evaluator"]["test"]) == set(retrieval.EvaluationOptions.model_fields)
    heldout = set(retrieval.HeldoutOptions.model_fields)
    assert set(FULL_DATA["evaluator"]["heldout"]) == heldout
    assert set(FULL_DATA["screen"]) == set(evaluators.ScreenOptions.model_fields)


# defaults


def test_defaults(tmp_path: Path) -> None:
    file = read_study_file(write_file(tmp_path, SHORT))
    assert file.study == StudyOptions(name="a", depths=(4,), trials=3, seed=0, attempts=3, first=())

    assert file.space == SpaceOptions(
        cadence="strict", period=None, phase=None, keep_first=True, pinned=(), forbidden=()
    )
    assert file.base is None

    assert file.sampler == {"name": "gp", "startup": 10, "transfer": False}
    assert file.evaluator == {
        "name": "table",
        "path": "scores.csv",
        "layers": 22,
        "period": None,
        "phase": "first",
        "noise": 0.0,
        "seconds": 0.0,
        "queries": 0,
    }


def test_defaults_of_retrieval() -> None:
    data = full() | {"evaluator": {"name": "retrieval", "train": {"data": "pairs.jsonl"}}}
    file = parse_study_file(data | {"base": {"model": "./base"}})

    assert file.base == evaluators.BaseOptions(
        model="./base",
        revision=None,
        pooling=None,
        dense=None,
        normalize=None,
        similarity=None,
        query_prompt=None,
        document_prompt=None,
        query_length=None,
        document_length=None,
        rhythm=True,
        precision="fp32",
    )

    assert file.evaluator == {
        "name": "retrieval",
        "train": {
            "data": "pairs.jsonl",
            "config": None,
            "split": "train",
            "revision": None,
            "anchor": "anchor",
            "positive": "positive",
            "negatives": [],
        },
        "test": {
            "data": "sentence-transformers/NanoBEIR-en",
            "revision": None,
            "tasks": [],
            "batch_size": 64,
        },
        "loss": "multiple-negatives-ranking",
        "steps": 100,
        "batch_size": 64,
        "micro_batch": 32,
        "learning_rate": 8e-5,
        "warmup": 0.05,
    }


# the record


def test_records_cannot_be_changed() -> None:
    file = parse_study_file(full())
    assert file.base is not None
    records: list[tuple[BaseModel, str]] = [
        (file, "study"),
        (file.study, "seed"),
        (file.space, "cadence"),
        (file.base, "model"),
    ]
    for record, field in records:
        with pytest.raises(ValidationError, match="Instance is frozen"):
            setattr(record, field, getattr(record, field))


def test_budget() -> None:
    assert [parse_study_file(full()).budget(depth) for depth in (4, 7, 13)] == [40, 80, 60]
    data = full()
    data["study"]["trials"] = 9
    assert [parse_study_file(data).budget(depth) for depth in (4, 7, 13)] == [9, 9, 9]


@pytest.mark.parametrize(
    ("sampler", "transfer"),
    [
        ({"name": "gp"}, False),
        ({"name": "gp", "transfer": True}, True),
        ({"name": "uniform"}, False),  # takes no such key
    ],
)
def test_transfer_is_a_key_of_some_samplers(sampler: dict[str, object], *, transfer: bool) -> None:
    assert parse_study_file(full() | {"sampler": sampler}).transfer == transfer


def test_options_of_a_part_are_found_by_its_name() -> None:
    assert set(sampler_options("swap").model_fields) == {"startup", "explore"}
    assert set(sampler_options("uniform").model_fields) == set()
    assert evaluator_options("retrieval") is retrieval.Options
    with pytest.raises(InputError, match=r"^unknown sampler 'warp': "):
        sampler_options("warp")
    with pytest.raises(InputError, match=r"^unknown evaluator 'warp': "):
        evaluator_options("warp")


# the examples


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    file = read_study_file(path)
    base = MINILM if path.stem == "minilm" else MMBERT
    plans = plan_depths(file, base)
    assert tuple(plans) == file.study.depths
    for depth, plan in plans.items():
        assert plan.space.depth == depth
        assert plan.sampler.space == plan.space
        assert all(len(subset) == depth for subset in plan.first)


def test_reference_tries_the_subsets_of_the_card_first() -> None:
    file = read_study_file(EXAMPLES / "mmbert-small.toml")
    assert file.study.depths == (4, 7, 13)
    with (EXAMPLES / "card.csv").open(encoding="utf-8", newline="") as lines:
        card = {row["subset"] for row in csv.DictReader(lines) if row["depth"] != "22"}
    assert len(card) == 26
    assert set(file.study.first) == card

    plans = plan_depths(file, MMBERT)
    kept = [format_subset(subset) for plan in plans.values() for subset in plan.first]
    assert sorted(kept) == sorted(card)
    for depth in file.study.depths:
        assert file.budget(depth) > sum(len(parse_subset(name)) == depth for name in card)


def test_small_example_is_a_free_search_of_minilm() -> None:
    file = read_study_file(EXAMPLES / "minilm.toml")
    assert file.study.depths == (2, 3, 4)
    assert file.space.cadence == "free"
