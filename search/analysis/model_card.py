"""The model card of an exported subset: the text of its README.md.

The words stand in `model_card.md.jinja`; here are its values, which that page escapes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from search.analysis.base_settings import settings_in_words
from search.analysis.markdown import Markdown, escape, render
from search.space import Rhythm, Subset, cadences, format_subset
from search.study.file import StudyFile
from storage.costs import CostRecord, SpeedRecord
from storage.leaderboard import Row
from storage.studies import StudyRecord

_TOP = 20  # subsets in the table of scores: a page
_HUB_ID = re.compile(r"\w[\w.-]{0,99}/[\w.-]{1,100}", re.ASCII)

Values = dict[str, object]
"""Values of the page, or of a part of it, by name."""


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
    key, ranking = format_subset(kept), scores.ranking

    values: Values = {
        "name": name,
        "hub_id": _hub_id(study, file),
        "base": study.base,
        "layers": study.layers,
        "depth": len(kept),
        "kept": key,
        "is_scored": key in {row["subset"] for row in ranking},
        "settings": _settings(study, file),
        "cost": _cost(study, kept, ranking, cost) if cost else None,
        "tried": len(ranking),
        **_search(study, file, kept),
        "scores": _scores(key, ranking, scores.tasks),
        "sets": _weights(scores.sets),
        "recipe": study.recipe_hash[:16],
    }

    template = files("search.analysis") / "model_card.md.jinja"
    return render(template.read_text(encoding="utf-8"), values)


def _hub_id(study: StudyRecord, file: StudyFile) -> str | None:
    """Return the base's hub id; None when it is a local folder, which no card may name."""
    model = file.base.model if file.base else ""
    is_hub_id = _HUB_ID.fullmatch(model) and not Path(study.folder, model).exists()
    return model if is_hub_id else None


def _settings(study: StudyRecord, file: StudyFile) -> str:
    """Return the settings that the model was scored and saved with, in words."""
    settings = study.settings
    if settings is None and file.base is not None:  # a study that began before they were recorded
        settings = file.base.model_dump(mode="json")
    return settings_in_words(settings or {})


def _cost(study: StudyRecord, kept: Subset, ranking: Sequence[Row], cost: CutCost) -> Values:
    """Return size, score and speed of the cut beside those of the base."""
    row = next((row for row in ranking if row["subset"] == format_subset(kept)), None)
    header = ["layers", "parameters", "weights", "operations per document token"]
    lines = [
        [
            str(layers),
            f"{one.parameters / 1e6:.1f} M",
            f"{one.bytes / 1e6:.1f} MB",
            f"{one.document_flops / 1e6:.1f} M",
        ]
        for layers, one in ((len(kept), cost.cut), (study.layers, cost.whole))
    ]

    is_retained = row is not None and row["retained"] is not None
    if row is not None and is_retained:
        header.append(Markdown("NDCG@10 retained"))
        lines[0].append(_format_retained(row))
        lines[1].append("1.000")
    if cost.speed is not None:
        header.append("speed-up")
        lines[0].append(f"{cost.speed.speedup:.2f}")
        lines[1].append("1.00")

    return {"header": header, "lines": lines, "is_retained": is_retained, "speed": cost.speed}


def _format_retained(row: Row) -> str:
    """Return the share that a subset retains, with its interval where that is known."""
    if row["retained_low"] is None:
        return f"{row['retained']:.3f}"
    low, high = row["retained_low"], row["retained_high"]
    return f"{row['retained']:.3f} (95 %: {low:.3f} to {high:.3f})"


def _search(study: StudyRecord, file: StudyFile, kept: Subset) -> Values:
    """Return the rules and the means of the search that found the subset."""
    rhythm = Rhythm(study.period, study.phase) if study.period else None
    evaluator = file.evaluator
    return {
        "cadence": file.space.cadence,
        "rhythm": rhythm.in_words if rhythm else None,
        "own_rhythm": _own_rhythm(file, kept, rhythm) if rhythm and file.own_rhythm else None,
        "sampler": file.sampler["name"],
        "steps": evaluator.get("steps"),
        "batch_size": evaluator.get("batch_size"),
    }


def _own_rhythm(file: StudyFile, kept: Subset, base: Rhythm) -> str:
    """Return a sentence on the global layers of a cut model that may have its own rhythm."""
    cut = cadences.load(file.space.cadence).cut_rhythm(kept, base)
    positions = ", ".join(str(i) for i in range(len(kept)) if cut.is_global(i))
    if not positions:
        return "No layer of this model attends globally."
    return f"Global layers of this model, by index: {positions}."


def _scores(kept: str, ranking: Sequence[Row], tasks: Sequence[Row]) -> Values:
    """Return the best subsets of the depth, and the exported one, with their scores per task."""
    by_subset: dict[str, dict[str, float]] = {}
    for row in tasks:
        by_subset.setdefault(row["subset"], {})[row["task"]] = row["score"]

    names = sorted({row["task"] for row in tasks})
    lines = []
    for row in ranking:
        if row["rank"] > _TOP and row["subset"] != kept:
            continue
        scores = [by_subset.get(row["subset"], {}).get(name) for name in names]
        cells = ["" if score is None else f"{score:.4f}" for score in scores]
        lines.append([str(row["rank"]), _marked(row["subset"], kept), f"{row['mean']:.4f}", *cells])
    return {"header": ["rank", "subset", "mean", *names], "lines": lines}


def _marked(subset: str, kept: str) -> Markdown:
    """Return the key of a subset, in bold if it is the exported one."""
    return Markdown(f"**{escape(subset)}**") if subset == kept else escape(subset)


def _weights(sets: Sequence[Row]) -> list[Values]:
    """Return the parts of the mean, where there are several."""
    parts = {row["test_set"]: (row["weight"], row["tasks"]) for row in sets}
    if len(parts) < 2:  # noqa: PLR2004 - one set is the whole mean
        return []
    return [
        {"name": name, "weight": f"{weight:.0%}", "tasks": number}
        for name, (weight, number) in sorted(parts.items())
    ]
