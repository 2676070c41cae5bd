"""Commands about what is likely and what is found: screen, answer."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.arguments import DEFAULT_STORE, AsJson, Device, Store, StudyPath, opened
from search.cli.output import console, errors, print_json, print_table, score
from search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from search.answers import DepthAnswer
    from search.studyfile import StudyFile
    from storage.screens import Fit, Screened

EXAMPLES = {
    "screen": "Example: layer-search screen examples/mmbert-small.toml",
    "answer": "Example: layer-search answer minilm",
}
_TOP = 10
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
    from evaluators import Description
    from search import screening, studyfile
    from storage import screens, studies

    file = studyfile.read(study)
    if not show:
        _screen(file, study, weights, store, device)
    with opened(store) as engine:
        record = studies.find(engine, file.study.name)
        found = screens.scores(engine, record.id)
        found = {kind: found[kind] for kind in found if weights in (None, kind)}
        fits = screening.fits(engine, record.id, file.study.depths)
        fits = [fit for fit in fits if weights in (None, fit.weights)]
        base = Description(record.base, record.layers, record.period)
        spaces = [file.layer_space(depth, base) for depth in file.study.depths]
        missing = screening.unfinished(engine, record.id, spaces)
    if as_json:
        scores = [{"weights": kind, **asdict(row)} for kind in found for row in found[kind]]
        sizes = {space.depth: space.count for space in spaces}
        print_json({"subsets": sizes, "scores": scores, "fits": [asdict(fit) for fit in fits]})
        return
    if not found:
        console.print("no subset was screened yet")
        return
    for kind, rows in found.items():
        for depth in sorted({row.depth for row in rows}):
            _print_best(file.study.name, kind, depth, [row for row in rows if row.depth == depth])
    print_fits(fits)
    for line in missing:
        console.print(line, highlight=False, soft_wrap=True)


def answer(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    *,
    depth: Annotated[int | None, typer.Option(min=1, help="This depth only.")] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Say which subset to keep: the one with the best posterior, not the luckiest score."""
    from search import answers
    from search.cli.arguments import require_depth
    from storage import studies

    with opened(store) as engine:
        record = studies.find(engine, study)
        require_depth(record, depth)
        found = answers.of_study(engine, record, [depth] if depth else sorted(record.budgets))
    if as_json:
        print_json([asdict(row) for row in found])
    else:
        print_answers(study, found)


COMMANDS = (screen, answer)


def print_answers(study: str, found: "Sequence[DepthAnswer]") -> None:
    """Print the answer of each depth."""
    cells = [
        [
            row.depth, row.subset, score(row.mean), score(row.deviation),
            f"{row.probability:.2f}", row.trials, score(row.measured),
        ]
        for row in found
    ]  # fmt: skip
    columns = (
        "depth", "subset", "posterior mean", "std. deviation", "best of those tried with p",
        "trials", "measured",
    )  # fmt: skip
    if cells:
        print_table(f"Answer of {study}", columns, cells)
    else:
        console.print("no answer yet: no trial is complete")


def print_fits(fits: "Sequence[Fit]") -> None:
    """Print how well screens predict trials."""
    if not fits:
        return
    cells = [
        [
            fit.depth, fit.weights, fit.measure, fit.subsets,
            f"{fit.spearman:.2f}", f"{fit.spearman_low:.2f} to {fit.spearman_high:.2f}",
            f"{fit.recall:.2f}", f"{fit.recall_low:.2f} to {fit.recall_high:.2f}",
        ]
        for fit in fits
    ]  # fmt: skip
    columns = (
        "depth", "weights", "measure", "subsets", "Spearman", "95 %", "recall of the best", "95 %",
    )  # fmt: skip
    print_table("Screen against trials", columns, cells)


def store_fits(engine: "Engine", study_id: int, depths: "Sequence[int]") -> "list[Fit]":
    """Measure how well the screens of a study predict its trials, and store that."""
    from search import screening
    from storage import screens

    found = screening.fits(engine, study_id, depths)
    screens.record_fits(engine, study_id, depths, found)
    return found


def _screen(
    file: "StudyFile", study: StudyPath, weights: str | None, store: str, device: str | None
) -> None:
    """Walk the tree of the study's subsets, with a progress bar."""
    import evaluators
    from search import job as jobs
    from search import screening
    from search.cli.progress import StageProgress
    from search.cli.run import interruptible, refuse_changed

    refuse_changed(file, store)
    folder = study.resolve().parent
    with errors.status(f"loading the base and data of {file.study.name}"):
        evaluator = file.evaluator_for(folder, device)
    if not isinstance(evaluator, evaluators.Screener):
        message = f"the evaluator {file.evaluator['name']!r} has no weights to screen with"
        raise InputError(message)
    options = file.screen.model_copy(update={"weights": weights} if weights else {})
    with opened(store, create=True) as engine:
        job = jobs.begin(engine, file, folder, evaluator)
        job.mirror.close()
        spaces = [plan.space for plan in job.plans.values()]
        with (
            interruptible(_STOPPED),
            StageProgress() as bar,
        ):
            number = screening.screen(
                engine, job.study.id, spaces, evaluator, options, progress=bar.stage
            )
        store_fits(engine, job.study.id, file.study.depths)
    errors.print(f"{file.study.name}: subsets screened now: {number}", highlight=False)


def _print_best(study: str, kind: str, depth: int, rows: "list[Screened]") -> None:
    best = sorted(rows, key=lambda row: -row.ndcg)[:_TOP]
    cells = [[row.subset, score(row.ndcg), score(row.agreement)] for row in best]
    title = (
        f"{study}, depth {depth}: screen, weights {kind}, best {len(best)} of {len(rows)} scored"
    )
    print_table(title, ("subset", "NDCG@10", "agreement"), cells)
