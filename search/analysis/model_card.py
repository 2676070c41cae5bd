"""The model card of an exported subset: the text of its README.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.space import Subset, format_subset
from search.study.file import StudyFile
from storage.costs import CostRecord, SpeedRecord
from storage.leaderboard import Row
from storage.studies import StudyRecord

_TOP = 20  # subsets in the table of scores: a page

_CODE = """\
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}")  # {pooling} pooling
```"""
_PROVENANCE = (
    "Each score was measured after the short fine-tune of the study, not on the weights in this "
    "repository. Recipe: `{recipe}`."
)


@dataclass(frozen=True, slots=True)
class CutCost:
    """Cost of the exported cut beside that of the whole base.

    Attributes:
        cut: size and arithmetic of the cut.
        whole: size and arithmetic of the whole base.
        speed: measured speed of the cut; None where it was not measured.
    """

    cut: CostRecord
    whole: CostRecord
    speed: SpeedRecord | None


def write_card(
    name: str,
    study: StudyRecord,
    file: StudyFile,
    kept: Subset,
    ranking: Sequence[Row],
    tasks: Sequence[Row],
    cost: CutCost | None = None,
) -> str:
    """Return the text of the card of `kept`.

    Args:
        name: name of the exported model.
        study: the study.
        file: its study file.
        kept: the exported subset.
        ranking: leaderboard rows of its depth.
        tasks: rows of the leaderboard by task of its depth.
        cost: its cost; None where the evaluator knows none.
    """
    hub_id = _hub_id(study, file)

    parts = [
        _front_matter(hub_id),
        f"# {name}",
        _summary(study, hub_id, kept, ranking),
        _CODE.format(name=name, pooling=file.base.pooling if file.base else "mean"),
        *_lengths(file),
        *_cost_section(study, kept, ranking, cost),
        "## How these layers were found",
        _search(study, file, len(kept), len(ranking)),
        f"## Scores at depth {len(kept)} (NDCG@10)",
        _score_table(format_subset(kept), ranking, tasks),
        _PROVENANCE.format(recipe=study.recipe_hash[:16]),
    ]

    return "\n\n".join(parts) + "\n"


def _hub_id(study: StudyRecord, file: StudyFile) -> str | None:
    """Return the base's hub id; None when it is a local folder, which no card may name."""
    model = file.base.model if file.base else ""
    is_local = Path(study.folder, model).exists()
    return model if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) and not is_local else None


def _front_matter(hub_id: str | None) -> str:
    """Return the metadata that the hub reads."""
    lines = ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    if hub_id:
        lines.append(f"base_model: {hub_id}")
    tags = ["sentence-transformers", "feature-extraction", "layer-pruning"]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _summary(study: StudyRecord, hub_id: str | None, kept: Subset, ranking: Sequence[Row]) -> str:
    """Return the first paragraph: the base, and the layers kept."""
    text = (
        f"`{hub_id or study.base}` cut to {len(kept)} of its {study.layers} layers: "
        f"**{format_subset(kept)}**. "
        "The weights are the base's own: layers were removed, nothing was trained or distilled. "
        "Fine-tune it before use."
    )
    if format_subset(kept) not in {row["subset"] for row in ranking}:
        text += " This subset itself was not scored in the study."
    return text


def _lengths(file: StudyFile) -> list[str]:
    """Return a paragraph on the longest texts that the saved settings read."""
    if file.base is None:
        return []
    text = (
        f"`encode_query` reads {file.base.query_length} tokens and `encode_document` "
        f"{file.base.document_length}, as in the study; set `model[0].query_length` and "
        "`model[0].document_length` to change that."
    )
    return [text]


def _cost_section(
    study: StudyRecord, kept: Subset, ranking: Sequence[Row], cost: CutCost | None
) -> list[str]:
    """Return paragraphs that put size, score and speed of the cut beside those of the base."""
    if cost is None:
        return []
    row = next((row for row in ranking if row["subset"] == format_subset(kept)), None)
    header = ["layers", "parameters", "weights", "operations per document token"]
    lines = [
        [f"{layers}", f"{one.parameters / 1e6:.1f} M", f"{one.bytes / 1e6:.1f} MB",
         f"{one.document_flops / 1e6:.1f} M"]
        for layers, one in ((len(kept), cost.cut), (study.layers, cost.whole))
    ]  # fmt: skip

    notes = []
    if row is not None and row["retained"] is not None:
        header.append("NDCG@10 retained")
        lines[0].append(_format_retained(row))
        lines[1].append("1.000")
        notes.append("Retained is the share of the whole base's mean after the same fine-tune.")
    if cost.speed is not None:
        header.append("speed-up")
        lines[0].append(f"{cost.speed.speedup:.2f}")
        lines[1].append("1.00")
        notes.append(
            f"The speed-up is that of encoding documents of the test data on {cost.speed.device} "
            f"({cost.speed.threads} threads, batches of {cost.speed.batch_size}, "
            f"{cost.speed.precision}), measured against the whole base in turn."
        )

    table = [_table_line(header), "|" + " --- |" * len(header), *map(_table_line, lines)]
    return ["## What the cut costs", "\n".join(table), *([" ".join(notes)] if notes else [])]


def _format_retained(row: Row) -> str:
    """Return the share that a subset retains, with its interval where that is known."""
    if row["retained_low"] is None:
        return f"{row['retained']:.3f}"
    low, high = row["retained_low"], row["retained_high"]
    return f"{row['retained']:.3f} (95 %: {low:.3f} to {high:.3f})"


def _search(study: StudyRecord, file: StudyFile, depth: int, tried: int) -> str:
    """Return a paragraph on the search that found the subset."""
    rhythm = (
        f", global attention at every index divisible by {study.period}" if study.period else ""
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


def _score_table(kept: str, ranking: Sequence[Row], tasks: Sequence[Row]) -> str:
    """Return the best subsets of the depth, and the exported one, with their scores per task."""
    by_subset: dict[str, dict[str, float]] = {}
    for row in tasks:
        by_subset.setdefault(row["subset"], {})[row["task"]] = row["score"]

    names = sorted({row["task"] for row in tasks})
    header = ["rank", "subset", "mean", *names]
    lines = [_table_line(header), "|" + " --- |" * len(header)]
    for row in ranking:
        if row["rank"] > _TOP and row["subset"] != kept:
            continue
        shown = f"**{row['subset']}**" if row["subset"] == kept else row["subset"]
        scores = [by_subset.get(row["subset"], {}).get(name) for name in names]
        cells = ["" if score is None else f"{score:.4f}" for score in scores]
        lines.append(_table_line([str(row["rank"]), shown, f"{row['mean']:.4f}", *cells]))
    return "\n".join(lines)


def _table_line(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
