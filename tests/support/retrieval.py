"""Builders of the evaluator `retrieval` for tests."""

import json
from collections.abc import Mapping
from pathlib import Path

import evaluators
from evaluators.retrieval import Options
from evaluators.retrieval.evaluator import RetrievalEvaluator

Keys = Mapping[str, object]
"""Keys of `[evaluator]` that differ from the defaults below."""
SMALL = "small"
"""Folder of a small part of the toy world's collections."""
TRIPLETS = {"data": "train.jsonl", "negatives": ["negative"]}
LENGTHS = {"query_length": 32, "document_length": 48}


def options_json(changes: Keys) -> str:
    """Keys of `[evaluator]` for a quick trial on the toy world, as JSON."""
    keys = {"steps": 0, "batch_size": 16, "train": TRIPLETS, "test": {"data": SMALL}}
    return json.dumps({**keys, **changes})


def build(
    folder: Path,
    changes: Keys | None = None,
    *,
    base: str | Path = "base",
    precision: str = "fp32",
    settings: Keys | None = None,
    scratch: Path | None = None,
    own_rhythm: bool = False,
) -> RetrievalEvaluator:
    """The evaluator over the world in `folder`, with quick defaults.

    Args:
        folder: the study file's folder.
        changes: keys of `[evaluator]` that differ from the defaults.
        base: the base, in that folder or elsewhere.
        precision: of matrix products.
        settings: keys of `[base]` that differ from the defaults; the lengths are short.
        scratch: where checkpoints are kept; None keeps none.
        own_rhythm: whether a cut model may have another rhythm than the base.
    """
    record = evaluators.BaseOptions.model_validate(
        {"model": str(base), "precision": precision, **LENGTHS, **(settings or {})}
    )
    context = evaluators.Context(record, folder, "cpu", scratch=scratch, own_rhythm=own_rhythm)
    made = Options.model_validate_json(options_json(changes or {})).create(context)
    assert isinstance(made, RetrievalEvaluator)
    return made
