"""The model card of an exported subset: the text of its README.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.analysis.base_settings import settings_in_words
from search.space import Rhythm, Subset, cadences, format_subset
from search.study.file import StudyFile
from storage.costs import CostRecord, SpeedRecord
from storage.leaderboard import Row
from storage.studies import StudyRecord

_TOP = 20  # subsets in the table of scores: a page

_CODE = """\
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}")
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


@dataclass(frozen=True, slots=True)
class DepthScores:
    """Scores of the depth of the exported cut.

    Attributes:
        ranking: rows of its leaderboard.
        tasks: rows of its leaderboard by task.
        sets: rows of its leaderboard by test set.
    """

    ranking: Sequence[Row]
    tasks: Sequence[Row]
    sets: Sequence[Row] = ()


def write_card(
    name: str,
    study: StudyRecord,
    file: StudyFile,
    kept: Subset,
    scores: DepthScores,
    cost: CutCost | None = None,
) -> str:
    """Return the text of the card of `kept`.

    Args:
        name: name of the exported model.
        study: the study.
        file: its study file.
        kept: the exported subset.
        scores: scores of its depth.
        cost: its cost; None where the evaluator knows none.
    """
    hub_id = _hub_id(study, file)
    ranking = scores.ranking

    parts = [
        _front_matter(hub_id),
        f"# {name}",
        _summary(study, hub_id, kept, ranking),
        _CODE.format(name=name),
        *_settings(study, file),
        *_cost_section(study, kept, ranking, cost),
        "## How these layers were found",
        _search(study, file, kept, len(ranking)),
        f"## Scores at depth {len(kept)} (NDCG@10)",
        _score_table(format_subset(kept), ranking, scores.tasks),
        *_weights(scores.sets),
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


def _settings(study: StudyRecord, file: StudyFile) -> list[str]:
    """Return a paragraph on the settings that the model was scored and saved with."""
    settings = study.settings
    if settings is None and file.base is not None:  # a study that began before they were recorded
        settings = file.base.model_dump(mode="json")
    words = settings_in_words(settings or {})
    if not words:
        return []

    escaped = words.replace("`", "'")
    text = (
        f"Saved with the settings of the study: `{escaped}`. `encode_query` and `encode_document` "
        "apply them."
    )
    return [text]


def _cost_section(
    study: StudyRecord, kept: Subset, ranking: Sequence[Row], cost: CutCost | None
) -> list[str]:
    """Return paragraphs that compare size, score and speed of the cut with the base."""
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


def _search(study: StudyRecord, file: StudyFile, kept: Subset, tried: int) -> str:
    """Return a paragraph on the search that found the subset."""
    rhythm = Rhythm(study.period, study.phase) if study.period else None
    attention = f", global attention at {rhythm.in_words}" if rhythm else ""
    own = _own_rhythm(file, kept, rhythm) if rhythm and file.own_rhythm else ""

    evaluator = file.evaluator
    training = (
        f"{evaluator['steps']} fine-tune steps of {evaluator['batch_size']} pairs"
        if evaluator.get("steps")
        else "no fine-tune"
    )
    return (
        f"layer-search tried {tried} subsets of depth {len(kept)} (cadence `{file.space.cadence}`"
        f"{attention}; sampler `{file.sampler['name']}`). "
        f"Each was cut, given {training}, and scored.{own}"
    )


def _own_rhythm(file: StudyFile, kept: Subset, base: Rhythm) -> str:
    """Return a sentence on the global layers of a cut model that may have its own rhythm."""
    cut = cadences.load(file.space.cadence).cut_rhythm(kept, base)
    positions = ", ".join(str(i) for i in range(len(kept)) if cut.is_global(i))
    if not positions:
        return " No layer of this model attends globally."
    return f" Global layers of this model, by index: {positions}."


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


def _weights(sets: Sequence[Row]) -> list[str]:
    """Return a paragraph on the parts of the mean, where there are several."""
    parts = {row["test_set"]: (row["weight"], row["tasks"]) for row in sets}
    if len(parts) < 2:  # noqa: PLR2004 - one set is the whole mean
        return []

    # a name comes from the store: nothing in it may end the code that it is set as
    listed = ", ".join(
        f"`{re.sub(r'[^A-Za-z0-9._-]', '_', name)}` {weight:.0%} (tasks: {number})"
        for name, (weight, number) in sorted(parts.items())
    )
    return [f"The mean weighs test sets, within which tasks count alike: {listed}."]


def _table_line(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
