"""The command that scores subsets before any trial: screen."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

import evaluators
from search.analysis.screen_fit import measure_fits, store_fits
from search.cli.finding_tables import print_fits, print_screened
from search.cli.options import DEFAULT_STORE, AsJson, Device, Store, StudyPath
from search.cli.output import print_json, remark, say
from search.cli.progress import StageProgress, interruptible, load_evaluator
from search.cli.store import connected, opened
from search.errors import InputError
from search.space import format_subset
from search.study.file import StudyFile, read_study_file
from search.study.plan import build_space, require_depths
from search.study.reconciliation import find_reconciled
from search.study.screening import run_screen, unfinished_screens
from search.worker.session import begin_session
from storage.screens import FitRecord, ScreenedSubset, read_screened
from storage.studies import find_study
from storage.values.bounds import MOST_LAYERS

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
    depth: Annotated[
        list[int] | None,
        typer.Option(min=1, max=MOST_LAYERS, help="Screen this depth only; repeatable."),
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
    scored, a random sample of all subsets; screening again goes on from there.
    """
    file = read_study_file(study)
    require_depths(file, depth)

    if not show:
        options = file.screen.model_copy(update={"weights": weights} if weights else {})
        _screen(file, study.resolve().parent, options, depth, store, device)
    _show(file, depth or file.study.depths, weights, store, as_json=as_json)


def _show(
    file: StudyFile,
    depths: Sequence[int],
    weights: str | None,
    store: str,
    *,
    as_json: bool,
) -> None:
    """Print the scores of `depths` with `weights`, with all kinds of them when None."""
    with opened(store) as engine:
        record = find_study(engine, file.study.name)
        base = evaluators.Description(record.base, record.layers, record.period, record.phase)
        spaces = {number: build_space(file, number, base) for number in depths}
        scores = {
            kind: [row for row in rows if row.subset in spaces.get(row.depth, ())]
            for kind, rows in read_screened(engine, record.id).items()
            if weights in (None, kind)
        }
        fits = measure_fits(engine, record.id, depths)
        fits = [fit for fit in fits if weights in (None, fit.weights)]
        unfinished = unfinished_screens(engine, record.id, list(spaces.values()))

    sizes = {number: space.count for number, space in spaces.items()}
    if as_json:
        _print_json(sizes, scores, fits)
    elif any(scores.values()):
        for kind, rows in scores.items():
            print_screened(file.study.name, kind, rows, sizes, _TOP)
        print_fits(fits)
        for line in unfinished:
            say(line)
    else:
        say("no subset was screened yet")


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
    file: StudyFile,
    folder: Path,
    options: evaluators.ScreenOptions,
    depths: Sequence[int] | None,
    store: str,
    device: str | None,
) -> None:
    """Walk the tree of the study's subsets, with a progress bar."""
    with connected(store, works=True) as engine:
        file = find_reconciled(engine, file)
        evaluator = load_evaluator(file, folder, device)
        if not isinstance(evaluator, evaluators.Screener):
            message = f"the evaluator {file.evaluator['name']!r} has no weights to screen with"
            raise InputError(message)

        session = begin_session(engine, file, folder, evaluator)
        session.mirror.close()
        for change in session.changes:
            remark(change)
        spaces = [plan.space for plan in session.plans.values()]
        with interruptible(_STOPPED), StageProgress(f"screen of {file.study.name}") as bar:
            number = run_screen(
                engine,
                session.study.id,
                spaces,
                evaluator,
                options,
                depths=depths,
                progress=bar.stage,
            )
        store_fits(engine, session.study.id, file.study.depths)

    remark(f"{file.study.name}: subsets screened now: {number}")
