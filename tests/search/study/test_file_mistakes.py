"""Mistakes in a study file, and the one line that each is answered with."""

import re
from pathlib import Path
from typing import Any

import pytest

from evaluators import retrieval
from search import samplers
from search.errors import InputError
from search.study.file import parse_study_file, read_study_file
from tests.support.study_files import FULL, full, write_file

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
        # missing keys
        ('name = "mmbert-small.v1"\n', "", "study.name is missing"),
        ("depths = [4, 7, 13]\n", "", "study.depths is missing"),
        ('model = "jhu-clsp/mmBERT-small"\n', "", "base.model is missing"),
        ('data = "some/triplets"\n', "", "evaluator.train.data is missing"),
        # names that could lead elsewhere
        ('"abc123"', '"../../victim"', "base.revision: should be a commit, tag or branch"),
        ('"def456"', '"a..b"', "evaluator.train.revision: should be a commit, tag or branch"),
        ('"789aaa"', '"/a"', "evaluator.test.revision: should be a commit, tag or branch"),
        ('"456bbb"', '"a b"', "evaluator.heldout.revision: should be a commit, tag or branch"),
        # wrong types
        ("depths = [4, 7, 13]", "depths = 4", "study.depths: should be a valid array, not 4"),
        ("depths = [4, 7, 13]", "depths = []", "study.depths: should have at least 1, not none"),
        (
            'replicates = "auto"',
            'replicates = "always"',
            'study.replicates: should be a number of seeds, 1 to 1000, or "auto", not "always"',
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
        (
            'negatives = ["miss_1", "miss_2"]',
            "negatives = 3",
            "evaluator.train.negatives: should be a valid string, not 3",
        ),
        # test sets and held-out sets, several of which have a number
        ("weight = 2.5", "weight = 0.0", "evaluator.test.weight: should be greater than 0, not 0"),
        ("weight = 2.5", "weight = inf", "evaluator.test.weight: should be a finite number, not "),
        ('name = "nano"', 'name = "a/b"', "evaluator.test.name: should be letters, digits, '.', "),
        ('name = "unseen"', 'name = ""', "evaluator.heldout.name: should be letters, digits, "),
        (
            'name = "unseen"',
            "weight = 1.0",
            "unknown key evaluator.heldout.weight: allowed are data, revision, tasks, batch_size, ",
        ),
        ('data = "some/other"\n', "", "evaluator.heldout.data is missing"),
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
        (
            "seed = 12",
            "seed = 2147483648",
            "study.seed: should be less than or equal to 2147483647, not ",
        ),
        ("period = 3", "period = 0", "space.period: should be greater than or equal to 1, not 0"),
        ("pinned = [18]", "pinned = [-1]", "space.pinned.0: should be greater than or equal to 0"),
        ('"cls"', '"average"', "base.pooling: should be 'mean', 'cls', 'max', 'lasttoken', "),
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
        # keys that do not fit together
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
        (
            '"anchored"',
            '"loose"',
            "space.cadence: should be one of anchored, free, periodic, strict, not ",
        ),
        ('"first"\n', '"middle"\n', "space.phase: should be 'first' or 'last', not \"middle\""),
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
    path = write_file(tmp_path, FULL.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_study_file(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "tables", "message"),
    [
        ("test", [], "evaluator.test: should have at least 1, not none"),
        ("test", [{}, {"task": ["a"]}], "unknown key evaluator.test[2].task: allowed are data, "),
        ("test", [{"weight": -1.0}, {}], "evaluator.test[1].weight: should be greater than 0, not"),
        ("test", [{"tasks": [1]}], "evaluator.test[1].tasks.0: should be a valid string, not 1"),
        ("test", [3], "evaluator.test.0: should be an object, not 3"),
        ("test", "all", 'evaluator.test: should be an object, not "all"'),
        (
            "test",
            [{"name": "a"}, {"name": "b"}, {"name": "a"}],
            "evaluator.test: two sets are called 'a': give each a name of its own, not ",
        ),
        ("heldout", [{"data": "x"}, {}], "evaluator.heldout[2].data is missing"),
    ],
)
def test_mistakes_in_one_of_several_tables(section: str, tables: object, message: str) -> None:
    data = full()
    data["evaluator"][section] = tables
    with pytest.raises(InputError) as caught:
        parse_study_file(data)
    assert str(caught.value).startswith(message)


def test_the_families_are_listed() -> None:
    data = full()
    data["study"]["first"] = ["fornt"]
    with pytest.raises(InputError, match="bottom, top, alternate, front, back, spread"):
        parse_study_file(data)


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
        parse_study_file(full() | data if data else {})
    assert str(caught.value) == message


def test_missing_study() -> None:
    data = full()
    del data["study"]
    with pytest.raises(InputError, match=r"^study is missing$"):
        parse_study_file(data)


# files that cannot be read


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
    path = write_file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_study_file(path)
    assert str(caught.value).startswith(f"{path} is not TOML: ")
    assert re.search(r"\(at (line [12], column \d+|end of document)\)$", str(caught.value))
    assert "\n" not in str(caught.value)


def test_empty_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, "")
    with pytest.raises(InputError) as caught:
        read_study_file(path)
    assert str(caught.value) == f"{path}: evaluator.name: name one of retrieval, table"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes('[study]\nname = "caf\xe9"\n'.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_study_file(path)
    assert str(caught.value) == f"cannot read study file {path}: it is not UTF-8 text"


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(InputError) as caught:
        read_study_file(path)
    assert str(caught.value) == f"cannot read study file {path}: No such file or directory"


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_study_file(tmp_path)
    assert str(caught.value) == f"cannot read study file {tmp_path}: Is a directory"
