"""The command that puts the depths of a study side by side: depths."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

import evaluators
from search.analysis.costs import count_costs, list_depths, measure_speeds
from search.cli.finding_tables import print_depths
from search.cli.options import DEFAULT_STORE, AsCsv, AsJson, Device, Folder, Store, StudyName
from search.cli.output import print_csv, print_json, require_one_format, say
from search.cli.progress import StageProgress, interruptible, load_evaluator
from search.cli.store import opened
from search.errors import InputError
from search.study.compatibility import require_same_machine
from search.study.file import parse_study_file
from search.study.reference import whole_base
from storage.studies import StudyRecord, find_study

EXAMPLES = {"depths": "Example: layer-search depths minilm --measure"}
_KEPT = "what was measured so far is stored: measure again to go on"


def depths(
    study: StudyName,
    *,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="First count what each depth costs, and measure its speed on this machine, "
            "which should do nothing else meanwhile.",
        ),
    ] = False,
    folder: Folder = None,
    device: Device = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Put the depths side by side: the score each retains of the whole base, and its cost.

    Size, operations and speed are those of the depth's leader. The speed-up is against the whole
    base: the median of several rounds in which both encode the same documents of the test data.
    """
    require_one_format(as_json=as_json, as_csv=as_csv)

    with opened(store) as engine:
        record = find_study(engine, study)
        if measure:
            _measure(engine, record, folder, device)
        rows = list_depths(engine, record)

    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
    elif rows:
        print_depths(study, rows)
    else:
        say("no trial is complete yet")


def _measure(engine: Engine, study: StudyRecord, folder: Path | None, device: str | None) -> None:
    """Count the costs of all depths, and measure their speeds anew.

    Raises:
        InputError: the evaluator has no models, or base or data are not the study's.
        SearchError: a worker of this machine runs a trial.
    """
    file = parse_study_file(study.file)
    evaluator = load_evaluator(file, folder or Path(study.folder), device)
    if not isinstance(evaluator, evaluators.Measurable):
        message = (
            f"study {study.name!r} uses the evaluator {file.evaluator['name']!r}, "
            "which has no model to measure"
        )
        raise InputError(message)
    require_same_machine(study, evaluator.description)

    costs = count_costs(engine, study, evaluator, whole_base(evaluator.description))
    with interruptible(_KEPT), StageProgress(f"speeds of {study.name}") as bar:
        measure_speeds(engine, study, evaluator, costs, again=True, progress=bar.stage)
