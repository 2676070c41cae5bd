"""The model card of an exported subset."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search import subsets
from search.studyfile import StudyFile
from search.subsets import Subset
from storage.studies import StudyRecord

Row = Mapping[str, Any]


def write(
    name: str,
    record: StudyRecord,
    file: StudyFile,
    kept: Subset,
    ranking: Sequence[Row],
    tasks: Sequence[Row],
) -> str:
    """The text of README.md for `kept`.

    Args:
        name: name of the exported model.
        record: the study.
        file: its study file.
        kept: the exported subset.
        ranking: leaderboard rows of its depth.
        tasks: rows of the leaderboard by task of its depth.
    """
    key = subsets.key(kept)
    base = _hub_id(record, file) or record.base
    summary = (
        f"`{base}` cut to {len(kept)} of its {record.layers} layers: **{key}**. "
        "The weights are the base's own: layers were removed, nothing was trained or distilled. "
        "Fine-tune it before use."
    )
    if key not in {row["subset"] for row in ranking}:
        summary += " This subset itself was not scored in the study."
    provenance = (
        "Each score was measured after the short fine-tune of the study, not on the weights in "
        f"this repository. Recipe: `{record.recipe_hash[:16]}`."
    )
    parts = [
        _front_matter(_hub_id(record, file)),
        f"# {name}",
        summary,
        _usage(name, file),
        *_lengths(file),
        "## How these layers were found",
        _search(record, file, len(kept), len(ranking)),
        f"## Scores at depth {len(kept)} (NDCG@10)",
        _score_table(key, ranking, tasks),
        provenance,
    ]
    return "\n\n".join(parts) + "\n"


def _hub_id(record: StudyRecord, file: StudyFile) -> str | None:
    """The base's hub id; None when it is a folder of somebody's machine, which no card may name."""
    model = file.base.model if file.base else ""
    is_local = Path(record.folder, model).exists()
    return model if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) and not is_local else None


def _front_matter(hub_id: str | None) -> str:
    lines = ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    if hub_id:
        lines.append(f"base_model: {hub_id}")
    tags = ["sentence-transformers", "feature-extraction", "layer-pruning"]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _lengths(file: StudyFile) -> list[str]:
    """What the saved settings cut texts to."""
    if file.base is None:
        return []
    text = (
        f"`encode_query` reads {file.base.query_length} tokens and `encode_document` "
        f"{file.base.document_length}, as in the study; set `model[0].query_length` and "
        "`model[0].document_length` to change that."
    )
    return [text]


def _usage(name: str, file: StudyFile) -> str:
    pooling = file.base.pooling if file.base else "mean"
    return (
        "```python\n"
        "from sentence_transformers import SentenceTransformer\n\n"
        f'model = SentenceTransformer("{name}")  # {pooling} pooling\n'
        "```"
    )


def _search(record: StudyRecord, file: StudyFile, depth: int, tried: int) -> str:
    rhythm = (
        f", global attention at every index divisible by {record.period}" if record.period else ""
    )
    evaluator = file.evaluator
    training = (
        f"{evaluator['steps']} fine-tune steps of {evaluator['batch_size']} pairs"
        if evaluator.get("steps")
        else "no fine-tune"
    )
    return (
        f"layer-search tried {tried} subsets of depth {depth} (cadence `{file.space.cadence}`"
        f"{rhythm}; sampler `{file.sampler['name']}`). Each was cut, given {training}, and scored."
    )


def _score_table(key: str, ranking: Sequence[Row], tasks: Sequence[Row], top: int = 20) -> str:
    """The best subsets of the depth, and the exported one, with their scores per task."""
    by_subset: dict[str, dict[str, float]] = {}
    for row in tasks:
        by_subset.setdefault(row["subset"], {})[row["task"]] = row["score"]
    names = sorted({row["task"] for row in tasks})
    header = ["rank", "subset", "mean", *names]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for row in ranking:
        if row["rank"] > top and row["subset"] != key:
            continue
        shown = f"**{row['subset']}**" if row["subset"] == key else row["subset"]
        scores = [by_subset.get(row["subset"], {}).get(name) for name in names]
        cells = ["" if score is None else f"{score:.4f}" for score in scores]
        lines.append(
            "| " + " | ".join([str(row["rank"]), shown, f"{row['mean']:.4f}", *cells]) + " |"
        )
    return "\n".join(lines)
