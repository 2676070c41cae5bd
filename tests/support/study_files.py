"""A study file with every key, a short one, and changes to them."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import evaluators
from search.study.file import StudyFile, parse_study_file
from storage.studies import StudyRecord

MMBERT = evaluators.Description("mmBERT-small", 22, 3)
GEMMA = evaluators.Description("embeddinggemma-300m", 24, 6, "last")
MINILM = evaluators.Description("all-MiniLM-L6-v2", 6, None)

FULL = """
[study]
name = "mmbert-small.v1"
depths = [4, 7, 13]
trials = { 4 = 40, 7 = 80, 13 = 60 }
seed = 12
attempts = 5
replicates = "auto"
margin = 0.01
first = ["front", "0_1_2_18", "0_1_2_3_6_8_18", "back"]
reference = false

[space]
cadence = "anchored"
period = 3
phase = "first"
keep_first = false
pinned = [18]
forbidden = [1, 20]

[base]
model = "jhu-clsp/mmBERT-small"
revision = "abc123"
pooling = "cls"
dense = false
normalize = true
similarity = "dot"
query_prompt = "query: "
document_prompt = "passage: "
query_length = 48
document_length = 192
rhythm = false
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
name = "nano"
weight = 2.5

[evaluator.heldout]
data = "some/other"
revision = "456bbb"
tasks = ["NanoFEVER"]
batch_size = 8
name = "unseen"

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

FULL_DATA: dict[str, Any] = tomllib.loads(FULL)
"""The content of `FULL`; `full` returns a copy that may be changed."""


def write_file(folder: Path, text: str) -> Path:
    """Write a study file with `text`, and return its path."""
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def full() -> dict[str, Any]:
    """Return the content of `FULL`, free to be changed."""
    return copy.deepcopy(FULL_DATA)


def short(more: str = "") -> StudyFile:
    """Return the study of `SHORT`, with more keys for its evaluator."""
    return parse_study_file(tomllib.loads(SHORT + more))


def change(key: str, value: object) -> dict[str, Any]:
    """Return the content of `FULL` with another value for the dotted `key`."""
    data = full()
    *sections, last = key.split(".")
    record = data
    for section in sections:
        record = record[section]

    assert record[last] != value
    record[last] = value
    return data


def record_of(file: StudyFile, **changed: Any) -> StudyRecord:
    """Return the study that began with `file`, as a store keeps it.

    Args:
        file: the study file.
        **changed: fields that differ from the defaults.
    """
    fields: dict[str, Any] = {
        "id": 1,
        "uid": "0" * 32,
        "name": file.study.name,
        "file": file.plain(),
        "folder": "/",
        "recipe_hash": file.recipe_hash(),
        "base": Path(file.base.model).name if file.base else "table",
        "layers": 22,
        "period": 3,
        "fingerprints": {},
        "versions": {},
        "budgets": {depth: file.budget(depth) for depth in file.study.depths},
    }
    return StudyRecord(**{**fields, **changed})
