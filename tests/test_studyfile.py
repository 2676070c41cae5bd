"""The study file: what is read, what is recorded, and what is refused."""

import copy
import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import evaluators
from evaluators import retrieval, table
from search import samplers, studyfile, subsets
from search.errors import InputError
from search.space import LayerSpace
from search.studyfile import NAME, SpaceOptions, StudyFile, StudyOptions

EXAMPLES = Path(__file__).parent.parent / "examples"
MMBERT = evaluators.Description("mmBERT-small", 22, 3)
MINILM = evaluators.Description("all-MiniLM-L6-v2", 6, None)

FULL = """
[study]
name = "mmbert-small.v1"
depths = [4, 7, 13]
trials = { 4 = 40, 7 = 80, 13 = 60 }
seed = 12
attempts = 5
replicates = "auto"
first = ["front", "0_1_2_18", "0_1_2_3_6_8_18", "back"]

[space]
cadence = "anchored"
period = 3
keep_first = false
pinned = [18]
forbidden = [1, 20]

[base]
model = "jhu-clsp/mmBERT-small"
revision = "abc123"
pooling = "cls"
query_length = 48
document_length = 192
precision = "bf16"

[sampler]
name = "swap"
startup = 12
explore = 0.25

[evaluator]
name = "retrieval"
loss = "cached-multiple-negatives-ranking"
steps = 240
batch_size = 512
micro_batch = 16
learning_rate = 5e-5
warmup = 0.1
query_prompt = "query: "
document_prompt = "passage: "

[evaluator.train]
data = "some/triplets"
config = "triplet-hard"
split = "train[:20000]"
revision = "def456"
anchor = "query"
positive = "hit"
negatives = ["miss_1", "miss_2"]

[evaluator.test]
data = "some/NanoBEIR"
revision = "789aaa"
tasks = ["NanoMSMARCO", "NanoNQ"]
batch_size = 16

[screen]
weights = "supernet"
queries = 5
documents = 30
batch_size = 32
steps = 100
learning_rate = 1e-4
seed = 3
"""

SHORT = """
[study]
name = "a"
depths = [4]
trials = 3

[evaluator]
name = "table"
path = "scores.csv"
layers = 22
"""


def write(folder: Path, text: str) -> Path:
    """A study file with `text`."""
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def full() -> dict[str, Any]:
    """The content of `FULL`, free to be changed."""
    return copy.deepcopy(FULL_DATA)


FULL_DATA: dict[str, Any] = studyfile.tomllib.loads(FULL)


# what is read


def test_every_key_is_read(tmp_path: Path) -> None:
    file = studyfile.read(write(tmp_path, FULL))
    assert file.study == StudyOptions(
        name="mmbert-small.v1",
        depths=(4, 7, 13),
        trials={4: 40, 7: 80, 13: 60},
        seed=12,
        attempts=5,
        replicates="auto",
        first=("front", "0_1_2_18", "0_1_2_3_6_8_18", "back"),
    )
    assert file.space == SpaceOptions(
        cadence="anchored", period=3, keep_first=False, pinned=(18,), forbidden=(1, 20)
    )
    assert file.base == evaluators.BaseOptions(
        model="jhu-clsp/mmBERT-small",
        revision="abc123",
        pooling="cls",
        query_length=48,
        document_length=192,
        precision="bf16",
    )
    assert file.sampler == {"name": "swap", "startup": 12, "explore": 0.25}
    # the rest is as it was written
    assert file.evaluator == FULL_DATA["evaluator"]
    assert file.screen.model_dump() == FULL_DATA["screen"]


def test_full_example_names_every_key() -> None:
    """So that the tests above and below cannot forget one."""
    assert set(FULL_DATA["study"]) == set(StudyOptions.model_fields)
    assert set(FULL_DATA["space"]) == set(SpaceOptions.model_fields)
    assert set(FULL_DATA["base"]) == set(evaluators.BaseOptions.model_fields)
    assert set(FULL_DATA["evaluator"]) == {"name", *retrieval.Options.model_fields}
    assert set(FULL_DATA["evaluator"]["train"]) == set(retrieval.TrainOptions.model_fields)
    assert set(FULL_DATA["evaluator"]["test"]) == set(retrieval.EvaluationOptions.model_fields)
    assert set(FULL_DATA["screen"]) == set(evaluators.ScreenOptions.model_fields)


def test_defaults(tmp_path: Path) -> None:
    file = studyfile.read(write(tmp_path, SHORT))
    assert file.study == StudyOptions(name="a", depths=(4,), trials=3, seed=0, attempts=3, first=())
    assert file.space == SpaceOptions(
        cadence="strict", period=None, keep_first=True, pinned=(), forbidden=()
    )
    assert file.base is None
    assert file.sampler == {"name": "gp", "startup": 10, "transfer": False}
    assert file.evaluator == {
        "name": "table",
        "path": "scores.csv",
        "layers": 22,
        "period": None,
        "noise": 0.0,
        "seconds": 0.0,
        "queries": 0,
    }


def test_defaults_of_retrieval() -> None:
    data = full() | {"evaluator": {"name": "retrieval", "train": {"data": "pairs.jsonl"}}}
    file = studyfile.parse(data | {"base": {"model": "./base"}})
    assert file.base == evaluators.BaseOptions(
        model="./base",
        revision=None,
        pooling="mean",
        query_length=64,
        document_length=256,
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
        "query_prompt": "",
        "document_prompt": "",
    }


def test_records_cannot_be_changed() -> None:
    file = studyfile.parse(full())
    records: list[tuple[BaseModel, str]] = [
        (file, "study"),
        (file.study, "seed"),
        (file.space, "cadence"),
        (file.base, "model"),
    ]
    for record, key in records:
        with pytest.raises(ValidationError, match="Instance is frozen"):
            setattr(record, key, getattr(record, key))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    file = studyfile.read(path)
    base = MINILM if path.stem == "minilm" else MMBERT
    for depth in file.study.depths:
        space = file.layer_space(depth, base)
        assert file.sampler_for(space).space == space
        assert all(len(subset) == depth for subset in file.first(space))


def test_reference_tries_the_subsets_of_the_card_first() -> None:
    file = studyfile.read(EXAMPLES / "mmbert-small.toml")
    assert file.study.depths == (4, 7, 13)
    with (EXAMPLES / "card.csv").open(encoding="utf-8", newline="") as lines:
        card = {row["subset"] for row in csv.DictReader(lines) if row["depth"] != "22"}
    assert len(card) == 26
    assert set(file.study.first) == card
    kept = [subsets.key(s) for d in (4, 7, 13) for s in file.first(file.layer_space(d, MMBERT))]
    assert sorted(kept) == sorted(card)
    for depth in file.study.depths:
        assert file.budget(depth) > sum(len(subsets.parse(key)) == depth for key in card)


def test_small_example_is_a_free_search_of_minilm() -> None:
    file = studyfile.read(EXAMPLES / "minilm.toml")
    assert file.study.depths == (2, 3, 4)
    assert file.space.cadence == "free"


# what follows from it


def test_budget() -> None:
    assert [studyfile.parse(full()).budget(depth) for depth in (4, 7, 13)] == [40, 80, 60]
    data = full()
    data["study"]["trials"] = 9
    assert [studyfile.parse(data).budget(depth) for depth in (4, 7, 13)] == [9, 9, 9]


def test_space_follows_the_file() -> None:
    expected = LayerSpace(22, 7, 3, "anchored", keep_first=False, pinned={18}, forbidden={1, 20})
    assert studyfile.parse(full()).layer_space(7, MMBERT) == expected


def test_period_is_the_bases_when_left_out() -> None:
    data = full()
    del data["space"]["period"]
    assert studyfile.parse(data).layer_space(7, MMBERT).period == 3
    data["space"] = {"cadence": "free"}
    assert studyfile.parse(data).layer_space(4, MINILM) == LayerSpace(6, 4, None, "free")


def test_sampler_takes_its_options_and_the_seed_of_the_study() -> None:
    sampler = studyfile.parse(full()).sampler_for(LayerSpace(22, 7))
    assert isinstance(sampler, samplers.load("swap"))
    options = {key: vars(sampler)[key] for key in ("space", "seed", "startup", "explore")}
    assert options == {"space": LayerSpace(22, 7), "seed": 12, "startup": 12, "explore": 0.25}


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_can_be_chosen_by_its_name_alone(name: str) -> None:
    file = studyfile.parse(full() | {"sampler": {"name": name}})
    sampler = file.sampler_for(LayerSpace(22, 7))
    assert type(sampler) is samplers.load(name)
    assert sampler.seed == 12
    assert sampler.next_subset([]) in LayerSpace(22, 7)


def test_evaluator_is_built_from_its_options(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("subset,mean\n0_1_2_18,0.453\n", encoding="utf-8")
    file = studyfile.parse(studyfile.tomllib.loads(SHORT + "period = 3\n"))
    evaluator = file.evaluator_for(tmp_path)
    assert isinstance(evaluator, table.Table)
    described = evaluator.description
    assert (described.base, described.layers, described.period) == ("scores", 22, 3)
    assert evaluator.evaluate((0, 1, 2, 18), 0).mean == 0.453


def test_first_subsets_without_repeats() -> None:
    file = studyfile.parse(full())
    space = LayerSpace(22, 4)
    keys = [subsets.key(subset) for subset in file.first(space)]
    front = [f"0_1_2_{layer}" for layer in (21, 18, 15, 12, 9, 6, 3)]
    assert keys == [*front, "0_19_20_21"]  # 0_1_2_18 is in `front` already
    seventh = [subsets.key(subset) for subset in file.first(LayerSpace(22, 7))]
    assert "0_1_2_3_6_8_18" in seventh  # outside the strict space, and wanted all the same
    assert seventh[-1] == "0_16_17_18_19_20_21"


def test_first_subsets_need_layers_that_exist() -> None:
    data = full()
    data["study"]["first"] = ["0_1_2_18"]
    with pytest.raises(InputError) as caught:
        studyfile.parse(data).first(LayerSpace(12, 4))
    assert str(caught.value) == "study.first: 0_1_2_18, but the base has only 12 layers"


# what is recorded


def shares() -> st.SearchStrategy[float]:
    """Numbers from 0 to below 1."""
    return st.floats(0, 1, exclude_max=True)


counts = st.integers(1, 10**6)
texts = st.text(min_size=1, max_size=9)
options = {
    "sampler": st.one_of(
        st.fixed_dictionaries({"name": st.just("uniform")}),
        st.fixed_dictionaries(
            {"name": st.just("swap")},
            optional={"startup": st.integers(0, 99), "explore": st.floats(0, 1)},
        ),
        st.fixed_dictionaries(
            {"name": st.just("tpe")},
            optional={"startup": st.integers(0, 99), "multivariate": st.booleans()},
        ),
    ),
    "space": st.fixed_dictionaries(
        {},
        optional={
            "cadence": texts,
            "period": counts,
            "keep_first": st.booleans(),
            "pinned": st.lists(st.integers(0, 99), max_size=3),
            "forbidden": st.lists(st.integers(0, 99), max_size=3),
        },
    ),
    "base": st.fixed_dictionaries(
        {"model": texts},
        optional={
            "revision": texts,
            "pooling": st.sampled_from(["mean", "cls", "max", "lasttoken"]),
            "query_length": st.integers(2, 9000),
            "document_length": st.integers(2, 9000),
            "precision": st.sampled_from(["fp32", "bf16"]),
        },
    ),
    "evaluator": st.one_of(
        st.fixed_dictionaries(
            {"name": st.just("table"), "path": texts, "layers": counts},
            optional={"period": counts, "noise": st.floats(0, allow_infinity=False)},
        ),
        st.fixed_dictionaries(
            {"name": st.just("retrieval")},
            optional={
                "train": st.fixed_dictionaries(
                    {"data": texts},
                    optional={
                        "config": texts,
                        "split": texts,
                        "revision": texts,
                        "anchor": texts,
                        "positive": texts,
                        "negatives": st.lists(texts, max_size=3),
                    },
                ),
                "test": st.fixed_dictionaries(
                    {},
                    optional={
                        "data": texts,
                        "revision": texts,
                        "tasks": st.lists(texts, max_size=3),
                        "batch_size": counts,
                    },
                ),
                "loss": st.sampled_from(
                    ["multiple-negatives-ranking", "cached-multiple-negatives-ranking"]
                ),
                "steps": st.integers(0, 10**6),
                "batch_size": st.integers(2, 10**6),
                "micro_batch": counts,
                "learning_rate": st.floats(0, exclude_min=True, allow_infinity=False),
                "warmup": shares(),
                "query_prompt": st.text(max_size=9),
                "document_prompt": st.text(max_size=9),
            },
        ),
    ),
}


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Contents of valid study files."""
    depths = draw(st.lists(st.integers(1, 48), min_size=1, max_size=4, unique=True))
    subset = st.sampled_from(depths).flatmap(
        lambda depth: st.sets(st.integers(0, 60), min_size=depth, max_size=depth)
    )
    keys = subset.map(lambda layers: subsets.key(tuple(sorted(layers))))
    budgets = st.fixed_dictionaries({str(depth): counts for depth in depths})
    study = {
        "name": draw(st.from_regex(re.compile(NAME, re.ASCII), fullmatch=True)),
        "depths": depths,
        "trials": draw(counts | budgets),
    }
    if draw(st.booleans()):
        study["seed"] = draw(st.integers(0, 2**31 - 1))
        family = st.sampled_from(["front", "back", "spread"])
        study["first"] = draw(st.lists(family | keys, max_size=4))
    optional = {key: options[key] for key in ("sampler", "space", "base")}
    sections = draw(st.fixed_dictionaries({"evaluator": options["evaluator"]}, optional=optional))
    return {"study": study, **sections}


@settings(deadline=None, derandomize=True, max_examples=200)
@given(studies())
def test_recorded_files_are_the_same(data: dict[str, Any]) -> None:
    file = studyfile.parse(data)
    plain = file.plain()
    through_store = json.loads(json.dumps(plain))
    assert through_store == plain  # or a study would seem changed when it is launched again
    again = StudyFile.recorded(through_store)
    assert again == file
    assert again.recipe_hash == file.recipe_hash
    # nothing that was written is lost
    for section in ("space", "sampler", "evaluator"):
        for key, value in data.get(section, {}).items():
            if not isinstance(value, dict):
                assert plain[section][key] == value


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
SEARCH = {
    "study.name": "other",
    "study.trials": 5,
    "study.seed": 13,
    "study.attempts": 9,
    "study.replicates": 2,
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


def changed(key: str, value: object) -> dict[str, Any]:
    """The content of `FULL` with another value for `key`."""
    data = full()
    *sections, last = key.split(".")
    record = data
    for section in sections:
        record = record[section]
    assert record[last] != value
    record[last] = value
    return data


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
    apart = {
        "study.depths",
        "sampler.name",
        "evaluator.name",
    }  # need other keys to change with them
    assert {*RECIPE, *SEARCH} == keys - apart


@pytest.mark.parametrize(("key", "value"), RECIPE.items())
def test_recipe_hash_knows(key: str, value: object) -> None:
    file = studyfile.parse(changed(key, value))
    assert file.recipe_hash != studyfile.parse(full()).recipe_hash
    assert re.fullmatch("[0-9a-f]{64}", file.recipe_hash)


@pytest.mark.parametrize(("key", "value"), SEARCH.items())
def test_recipe_hash_ignores(key: str, value: object) -> None:
    file = studyfile.parse(changed(key, value))
    assert file != studyfile.parse(full())
    assert file.recipe_hash == studyfile.parse(full()).recipe_hash


def test_recipe_hash_ignores_other_depths_and_samplers() -> None:
    data = full() | {"sampler": {"name": "uniform"}}
    data["study"] |= {"depths": [4], "trials": 1, "first": []}
    assert studyfile.parse(data).recipe_hash == studyfile.parse(full()).recipe_hash


def test_recipe_hash_knows_evaluator_and_base() -> None:
    data = full()
    hashes = {studyfile.parse(data).recipe_hash}
    del data["base"]
    hashes.add(studyfile.parse(data).recipe_hash)
    data["evaluator"] = {"name": "table", "path": "scores.csv", "layers": 22}
    hashes.add(studyfile.parse(data).recipe_hash)
    assert len(hashes) == 3


def test_spelling_out_a_default_changes_nothing() -> None:
    short = studyfile.parse(studyfile.tomllib.loads(SHORT))
    spelt = studyfile.parse(studyfile.tomllib.loads(SHORT + "noise = 0.0\n"))
    assert spelt == short
    assert spelt.recipe_hash == short.recipe_hash


# what is refused

SAMPLERS = ", ".join(samplers.names())
RETRIEVAL = ", ".join(retrieval.Options.model_fields)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # unknown keys, at every level; a key may also be spelt with a dash
        ("[study]", "[studies]", "unknown key studies: allowed are study, space, base, sampler, "),
        ("[study]", "x = 1\n[study]", "unknown key x: allowed are study, space, base, "),
        ("[study]", "x-y = 1\n[study]", "unknown key x-y: allowed are study, space, base, "),
        (
            "seed = 12",
            "sed = 12",
            "unknown key study.sed: allowed are name, depths, trials, seed, attempts, replicates",
        ),
        ("seed = 12", "my-seed = 12", "unknown key study.my-seed: allowed are name, depths, "),
        ("keep_first", "keep_frist", "unknown key space.keep_frist: allowed are cadence, period, "),
        ("pooling", "pool", "unknown key base.pool: allowed are model, revision, pooling, "),
        ("explore", "explor", "unknown key sampler.explor: allowed are startup, explore"),
        ("explore = 0.25", "seed = 3", "unknown key sampler.seed: allowed are startup, explore"),
        ("steps = 240", "step = 240", f"unknown key evaluator.step: allowed are {RETRIEVAL}"),
        ("learning_rate", "learning-rate", "unknown key evaluator.learning-rate: allowed are "),
        (
            "anchor = ",
            "ancor = ",
            "unknown key evaluator.train.ancor: allowed are data, config, split, ",
        ),
        (
            'tasks = ["',
            'task = ["',
            "unknown key evaluator.test.task: allowed are data, revision, ",
        ),
        # what is missing
        ('name = "mmbert-small.v1"\n', "", "study.name is missing"),
        ("depths = [4, 7, 13]\n", "", "study.depths is missing"),
        ('model = "jhu-clsp/mmBERT-small"\n', "", "base.model is missing"),
        ('data = "some/triplets"\n', "", "evaluator.train.data is missing"),
        # wrong types
        ("depths = [4, 7, 13]", "depths = 4", "study.depths: should be a valid array, not 4"),
        ("depths = [4, 7, 13]", "depths = []", "study.depths: should have at least 1, not none"),
        (
            'replicates = "auto"',
            'replicates = "always"',
            'study.replicates: should be a number of seeds, 1 or more, or "auto", not "always"',
        ),
        ('replicates = "auto"', "replicates = 0", "study.replicates: should be a number of seeds"),
        ("depths = [4,", "depths = ['4',", 'study.depths.0: should be a valid integer, not "4"'),
        ("depths = [4,", "depths = [4.0,", "study.depths.0: should be a valid integer"),
        ("depths = [4,", "depths = [true,", "study.depths.0: should be a valid integer, not true"),
        ("seed = 12", 'seed = "12"', 'study.seed: should be a valid integer, not "12"'),
        ('"mmbert-small.v1"', "7", "study.name: should be a valid string, not 7"),
        ('"mmbert-small.v1"', "2026-01-31", "study.name: "),
        (
            "keep_first = false",
            "keep_first = 0",
            "space.keep_first: should be a valid boolean, not",
        ),
        ("pinned = [18]", "pinned = 18", "space.pinned: should be a valid array, not 18"),
        ("period = 3", "period = 3.5", "space.period: should be a valid integer, not 3.5"),
        ("startup = 12", "startup = 1.5", "sampler.startup: should be a valid integer, not 1.5"),
        ("explore = 0.25", 'explore = "x"', 'sampler.explore: should be a valid number, not "x"'),
        (
            'negatives = ["miss_1"',
            "negatives = [1",
            "evaluator.train.negatives.0: should be a valid",
        ),
        (
            'tasks = ["NanoMSMARCO", "NanoNQ"]',
            'tasks = "all"',
            "evaluator.test.tasks: should be a ",
        ),
        ('first = ["front"', "first = [3", "study.first.0: should be a valid string, not 3"),
        # wrong ranges
        ("mmbert-small.v1", "a/b", "study.name: should be letters, digits, '.', "),
        ("mmbert-small.v1", "", "study.name: should be letters, digits, '.', "),
        ("mmbert-small.v1", "a\\n", "study.name: should be letters, digits, '.', "),
        ("mmbert-small.v1", "-a", "study.name: should be letters, digits, '.', "),
        ("mmbert-small.v1", "a" * 101, "study.name: should be letters, digits, '.', "),
        ("depths = [4,", "depths = [0,", "study.depths.0: should be greater than or equal to 1, "),
        ("depths = [4, 7, 13]", "depths = []", "study.depths: "),
        ("seed = 12", "seed = -1", "study.seed: should be greater than or equal to 0, not -1"),
        ("seed = 12", "seed = 2147483648", "study.seed: should be less than 2147483648, not "),
        ("period = 3", "period = 0", "space.period: should be greater than or equal to 1, not 0"),
        ("pinned = [18]", "pinned = [-1]", "space.pinned.0: should be greater than or equal to 0"),
        ('"cls"', '"average"', "base.pooling: should be 'mean', 'cls', 'max' or 'lasttoken', not "),
        ('"bf16"', '"fp16"', "base.precision: should be 'fp32' or 'bf16', not \"fp16\""),
        ("query_length = 48", "query_length = 1", "base.query_length: should be greater than or "),
        ("steps = 240", "steps = -1", "evaluator.steps: should be greater than or equal to 0, "),
        ("batch_size = 512", "batch_size = 1", "evaluator.batch_size: should be greater than or "),
        ("5e-5", "0.0", "evaluator.learning_rate: should be greater than 0, not 0.0"),
        ("5e-5", "nan", "evaluator.learning_rate: should be a finite number, not NaN"),
        ("5e-5", "inf", "evaluator.learning_rate: should be a finite number, not Infinity"),
        ("warmup = 0.1", "warmup = 1.0", "evaluator.warmup: should be less than 1, not 1.0"),
        (
            '"cached-mu',
            '"mu1',
            "evaluator.loss: should be 'multiple-negatives-ranking' or 'cached-",
        ),
        (
            'data = "some/triplets"',
            'data = ""',
            "evaluator.train.data: string should have at least",
        ),
        ("startup = 12", "startup = -1", "sampler.startup: "),
        ("explore = 0.25", "explore = 1.5", "sampler.explore: "),
        # what does not fit together
        ("[4, 7, 13]", "[4, 7, 7, 13]", "study.depths: depth 7 appears twice"),
        (
            "4 = 40, ",
            "",
            "study.trials: give one number for each of study.depths, and for no other",
        ),
        ("4 = 40,", "4 = 40, 5 = 50,", "study.trials: give one number for each of study.depths, "),
        ("4 = 40,", "4 = 0,", "study.trials.4: should be greater than or equal to 1, not 0"),
        ("4 = 40,", "four = 40,", "study.trials"),
        ('"front"', '"0_1_2"', "study.first: 0_1_2 has none of the study's depths"),
        ('"front"', '"0_2_1_18"', "study.first: '0_2_1_18' is "),
        ('"front"', '"fornt"', "study.first: 'fornt' is "),
        # unknown names
        ('"swap"', '"random"', f"unknown sampler 'random': choose one of {SAMPLERS}"),
        ('"swap"', '"_base"', f"unknown sampler '_base': choose one of {SAMPLERS}"),
        ('"swap"', "3", f"sampler.name: name one of {SAMPLERS}"),
        ('"retrieval"', '"beir"', "unknown evaluator 'beir': choose one of retrieval, table"),
        ('"retrieval"', '"errors"', "unknown evaluator 'errors': choose one of retrieval, table"),
        ('name = "retrieval"\n', "", "evaluator.name: name one of retrieval, table"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FULL
    path = write(tmp_path, FULL.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        studyfile.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_unknown_family_is_told_what_there_is() -> None:
    data = full()
    data["study"]["first"] = ["fornt"]
    with pytest.raises(InputError, match="front, back, spread"):
        studyfile.parse(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "evaluator.name: name one of retrieval, table"),
        ({"study": None}, "study: should be an object, not null"),
        ({"study": 3}, "study: should be an object, not 3"),
        ({"study": [{"name": "a"}]}, 'study: should be an object, not [{"name": "a"}]'),
        ({"space": "strict"}, 'space: should be an object, not "strict"'),
        ({"base": "mmBERT"}, 'base: should be an object, not "mmBERT"'),
        ({"sampler": "swap"}, "sampler: write a table, [sampler]"),
        ({"evaluator": "table"}, "evaluator: write a table, [evaluator]"),
        ({"evaluator": [{"name": "table"}]}, "evaluator: write a table, [evaluator]"),
    ],
)
def test_sections(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        studyfile.parse(full() | data if data else {})
    assert str(caught.value) == message


def test_missing_study() -> None:
    data = full()
    del data["study"]
    with pytest.raises(InputError, match=r"^study is missing$"):
        studyfile.parse(data)


@pytest.mark.parametrize(
    ("space", "base", "message"),
    [
        (
            {"cadence": "loose"},
            MMBERT,
            "unknown cadence 'loose': choose one of anchored, free, strict",
        ),
        ({"period": 4}, MMBERT, "space.period = 4, but the rhythm of mmBERT-small is 3: "),
        (
            {"cadence": "free", "period": 3},
            MINILM,
            "space.period = 3, but all-MiniLM-L6-v2 has no attention rhythm: leave the key out",
        ),
        (
            {"cadence": "strict"},
            MINILM,
            "cadence 'strict' needs an attention rhythm; the base has none: use 'free'",
        ),
        ({"pinned": [22]}, MMBERT, "layer 22 does not exist: the base has layers 0 to 21"),
        ({"forbidden": [0]}, MMBERT, "layer 0 is both kept and forbidden (keep_first keeps "),
        ({"pinned": [5, 6], "forbidden": [6]}, MMBERT, "layer 6 is both kept and forbidden: "),
        ({"pinned": [1, 2, 3, 4]}, MMBERT, "depth 4 cannot hold the 5 pinned layers (0, 1, 2, "),
    ],
)
def test_impossible_spaces(
    space: dict[str, Any], base: evaluators.Description, message: str
) -> None:
    file = studyfile.parse(full() | {"space": space})
    with pytest.raises(InputError) as caught:
        file.layer_space(4, base)
    where = f"study {file.study.name!r}, [space] at depth 4: "
    assert str(caught.value).removeprefix(where).startswith(message)


def test_depth_of_a_smaller_base() -> None:
    data = full() | {"space": {"cadence": "free"}}
    with pytest.raises(
        InputError, match=r"\[space\] at depth 7: depth 7 is impossible: the base has 6 layers$"
    ):
        studyfile.parse(data).layer_space(7, MINILM)


@pytest.mark.parametrize(
    "text",
    [
        "[study",
        "name = ",
        "a = 1\na = 2",
        "[study]\n[study]",
        '{"study": {}}',
        "depths = [4, 7",
        "\0",
    ],
)
def test_not_toml(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        studyfile.read(path)
    assert str(caught.value).startswith(f"{path} is not TOML: ")
    assert re.search(r"\(at (line [12], column \d+|end of document)\)$", str(caught.value))
    assert "\n" not in str(caught.value)


def test_empty_file(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    with pytest.raises(InputError) as caught:
        studyfile.read(path)
    assert str(caught.value) == f"{path}: evaluator.name: name one of retrieval, table"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes('[study]\nname = "caf\xe9"\n'.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        studyfile.read(path)
    assert str(caught.value) == f"cannot read study file {path}: it is not UTF-8 text"


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(InputError) as caught:
        studyfile.read(path)
    assert str(caught.value) == f"cannot read study file {path}: No such file or directory"


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        studyfile.read(tmp_path)
    assert str(caught.value) == f"cannot read study file {tmp_path}: Is a directory"
