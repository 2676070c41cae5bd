"""The command that ships a model: export."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

import evaluators
from search.analysis.answer import find_answers
from search.analysis.costs import find_speed
from search.analysis.model_card import CutCost, DepthScores, write_card
from search.cli.options import DEFAULT_STORE, Folder, Store, StudyName
from search.cli.output import say
from search.cli.progress import load_evaluator
from search.cli.store import opened
from search.errors import InputError
from search.space import Subset, format_subset, parse_subset
from search.study.compatibility import require_same_machine
from search.study.file import parse_study_file
from search.study.plan import require_layers
from search.study.reference import whole_base
from storage.costs import CostRecord, read_costs, read_speeds
from storage.leaderboard import rank_by_set, rank_by_task, rank_subsets
from storage.studies import StudyRecord, find_study
from storage.values.bounds import MOST_LAYERS

EXAMPLES = {"export": "Example: layer-search export minilm --depth 3 models/"}


def export(
    study: StudyName,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write the model into.")
    ],
    *,
    depth: Annotated[int, typer.Option(min=1, max=MOST_LAYERS, help="Number of layers kept.")],
    subset: Annotated[
        str | None, typer.Option(help="This subset; the study's answer when left out.")
    ] = None,
    folder: Folder = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write the answer of a depth as a model that stock libraries load.

    It is the subset that `layer-search answer` names. The weights are the base's own, cut and
    not fine-tuned. The folder is named BASE-L7H384-pruned.
    """
    with opened(store) as engine:
        record = find_study(engine, study)
        ranking = rank_subsets(engine, study, depth)
        tasks = rank_by_task(engine, study, depth)
        sets = rank_by_set(engine, study, depth)
        kept = _choose(engine, record, depth, subset)
        costs, speeds = read_costs(engine, record.id), read_speeds(engine, record.id)

    file = parse_study_file(record.file)
    evaluator = load_evaluator(file, folder or Path(record.folder), "cpu", base_only=True)
    require_layers(evaluator.description, kept)
    if not isinstance(evaluator, evaluators.Exporter):
        message = (
            f"study {study!r} uses the evaluator {file.evaluator['name']!r}, which has no model"
        )
        raise InputError(message)

    # no data was loaded, and the libraries decide scores, not weights: only the base must agree
    agreeing = {**record.fingerprints, **evaluator.description.fingerprints}
    base = replace(evaluator.description, fingerprints=agreeing, versions=record.versions)
    require_same_machine(record, base)

    name = f"{record.base}-L{depth}H{evaluator.hidden_size}-pruned"
    cost = None
    if isinstance(evaluator, evaluators.Measurable):
        whole = whole_base(evaluator.description)
        cut, base_cost = (CostRecord(**asdict(evaluator.count_cost(s))) for s in (kept, whole))
        cost = CutCost(cut, base_cost, find_speed(costs, speeds, kept, cut))
    card = write_card(name, record, file, kept, DepthScores(ranking, tasks, sets), cost)
    written = evaluator.export(kept, directory / name, card)
    say(f"wrote {format_subset(kept)} to {written}")


def _choose(engine: Engine, study: StudyRecord, depth: int, subset: str | None) -> Subset:
    """Return the subset to export: the named one, or the answer of the depth.

    Raises:
        InputError: the named one has another depth, or the depth has no answer yet.
    """
    if subset is None:
        answers = find_answers(engine, study, [depth])
        if not answers:
            message = (
                f"study {study.name!r} has no complete trial of depth {depth}: "
                "name one with --subset"
            )
            raise InputError(message)
        return answers[0].subset

    kept = parse_subset(subset)
    if len(kept) != depth:
        message = f"--subset {subset} keeps {len(kept)} layers, not --depth {depth}"
        raise InputError(message)
    return kept
