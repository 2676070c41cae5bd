"""The command that scores subsets before any trial: screen."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

import evaluators
from search.analysis.screen_fit import measure_fits, store_fits
from search.cli.options import DEFAULT_STORE, AsJson, Device, Store, StudyPath
from search.cli.output import print_json, remark, say
from search.cli.progress import StageProgress, interruptible, load_evaluator
from search.cli.store import connected, opened
from search.cli.tables import print_fits, print_screened
from search.errors import InputError
from search.space import format_subset
from search.study.compatibility import require_unchanged
from search.study.file import StudyFile, read_study_file
from search.study.plan import build_space
from search.study.screening import run_screen, unfinished_screens
from search.worker.session import begin_session
from storage.screens import FitRecord, ScreenedSubset, read_screened
from storage.studies import find_study

EXAMPLES = {"screen": "Example: layer-search screen examples/mmbert-small.toml"}

_TOP = 10  # subsets of each depth that are shown
_STOPPED = (
    "what was scored is stored: screen again to go on; a supernet that was in training starts over"
)


def screen(
    study: StudyPath,
    *,
    weights: Annotated[
        Literal["untrained", "supernet"] | None,
        typer.Option(help="Weights to screen with; the study file's when left out."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Screen nothing: show what was found.")
    ] = False,
    store: Store = DEFAULT_STORE,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Score all subsets of all depths with shared weights, before the first trial.

    The scores guide the sampler `gp`, by as much as they turn out to predict. Ctrl-C keeps what was
    scored; screening again goes on from there.
    """
    file = read_study_file(study)
    if not show:
        _screen(file, study.resolve().parent, weights, store, device)

    with opened(store) as engine:
        record = find_study(engine, file.study.name)
        scores = read_screened(engine, record.id)
        scores = {kind: scores[kind] for kind in scores if weights in (None, kind)}
        fits = measure_fits(engine, record.id, file.study.depths)
        fits = [fit for fit in fits if weights in (None, fit.weights)]
        base = evaluators.Description(record.base, record.layers, record.period, record.phase)
        spaces = [build_space(file, depth, base) for depth in file.study.depths]
        unfinished = unfinished_screens(engine, record.id, spaces)

    if as_json:
        _print_json({space.depth: space.count for space in spaces}, scores, fits)
        return
    if not scores:
        say("no subset was screened yet")
        return
    for kind, rows in scores.items():
        print_screened(file.study.name, kind, rows, _TOP)
    print_fits(fits)
    for line in unfinished:
        say(line)


def _print_json(
    sizes: dict[int, int], scores: dict[str, list[ScreenedSubset]], fits: list[FitRecord]
) -> None:
    """Print sizes of the spaces, scores, and how well they predict, as JSON."""
    rows = [
        {
            "weights": kind,
            "subset": format_subset(row.subset),
            "depth": row.depth,
            "ndcg": row.ndcg,
            "agreement": row.agreement,
        }
        for kind in scores
        for row in scores[kind]
    ]

    print_json({"subsets": sizes, "scores": rows, "fits": [asdict(fit) for fit in fits]})


def _screen(
    file: StudyFile, folder: Path, weights: str | None, store: str, device: str | None
) -> None:
    """Walk the tree of the study's subsets, with a progress bar."""
    options = file.screen.model_copy(update={"weights": weights} if weights else {})

    with connected(store) as engine:
        require_unchanged(engine, file)
        evaluator = load_evaluator(file, folder, device)
        if not isinstance(evaluator, evaluators.Screener):
            message = f"the evaluator {file.evaluator['name']!r} has no weights to screen with"
            raise InputError(message)

        session = begin_session(engine, file, folder, evaluator)
        session.mirror.close()
        spaces = [plan.space for plan in session.plans.values()]
        with interruptible(_STOPPED), StageProgress() as bar:
            number = run_screen(
                engine, session.study.id, spaces, evaluator, options, progress=bar.stage
            )
        store_fits(engine, session.study.id, file.study.depths)

    remark(f"{file.study.name}: subsets screened now: {number}")
