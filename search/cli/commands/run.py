"""Commands that search: launch, work."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

import evaluators
from search.analysis.answer import find_answers
from search.analysis.base_settings import settings_in_words
from search.analysis.costs import count_costs, list_depths, measure_speeds
from search.analysis.screen_fit import store_fits
from search.cli.finding_tables import print_answers, print_depths, print_fits
from search.cli.fleet import Fleet, count_workers
from search.cli.options import (
    DEFAULT_STORE,
    AcceptDrift,
    Device,
    Folder,
    Store,
    StudyPath,
    Workers,
)
from search.cli.output import NO_GLOBAL_POSITION, remark, say
from search.cli.progress import StageProgress, WorkerProgress, interruptible, load_evaluator
from search.cli.store import connected, opened
from search.cli.tables import format_error, print_ranking
from search.errors import InputError, SearchError, describe_error
from search.study.file import parse_study_file, read_study_file
from search.study.plan import require_depths
from search.study.reconciliation import find_reconciled
from search.study.reference import can_score, whole_base
from search.study.screening import unfinished_screens
from search.worker.loop import run_trials
from search.worker.session import Session, begin_session, join_session
from storage.database import patient
from storage.leaderboard import DepthStatus, depth_statuses, rank_subsets
from storage.studies import find_study, study_names
from storage.trials import list_trials
from storage.values.bounds import LARGEST_INTEGER, MOST_LAYERS

EXAMPLES = {
    "launch": "Example: layer-search launch examples/minilm.toml --depth 3 --trials 10",
    "work": "Example: layer-search work minilm --workers 4",
}
_REPORTED = 10  # subsets of each depth in the closing report

_Depths = Annotated[
    list[int] | None,
    typer.Option("--depth", min=1, max=MOST_LAYERS, help="Work on this depth only; repeatable."),
]


def launch(
    study: StudyPath,
    *,
    depth: _Depths = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST_INTEGER, help="Set the trial budget of each depth worked on."
        ),
    ] = None,
    workers: Workers = None,
    accept_drift: AcceptDrift = False,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Create or join the studies of a study file and work until every depth has its trials.

    Launching again goes on where it stopped. What the file has changed since is taken over and
    said; a changed recipe is refused, for its scores would not compare. Ctrl-C gives the claimed
    trial back.
    """
    file = read_study_file(study)
    folder = study.resolve().parent

    with connected(store, works=True) as engine:
        file = find_reconciled(engine, file)
        session = begin_session(
            engine,
            file,
            folder,
            load_evaluator(file, folder, device),
            depths=depth,
            trials=trials,
            accept_drift=accept_drift,
        )
        for change in session.changes:
            remark(change)
        if (count := count_workers(workers, device)) == 1:
            _run_session(session, engine)
        else:
            session.mirror.close()
            engine.dispose()  # the workers open connections of their own
            Fleet(store, count, device, folder, accept_drift).run(file.study.name, depth)
            _report(file.study.name, session.plans, engine)
        _compare_depths(session, engine)


def work(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; all when left out.")
    ] = None,
    *,
    depth: _Depths = None,
    workers: Workers = None,
    accept_drift: AcceptDrift = False,
    folder: Folder = None,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Join studies that were launched elsewhere, with nothing but the store's URL.

    The recipe comes from the store; this machine brings the base, the data and the libraries, and
    is refused if they are not those that the study began with.
    """
    if study is not None and study.endswith(".toml"):
        message = f"`work` takes a study's name, not a file: use `layer-search launch {study}`"
        raise InputError(message)
    count = count_workers(workers, device)

    with opened(store, works=True) as engine:
        names = [study] if study is not None else study_names(engine)
        if not names:
            say("the store holds no study yet")

        for name in names:
            record = find_study(engine, name)
            file = parse_study_file(record.file)
            require_depths(file, depth)
            start = folder or Path(record.folder)
            if count > 1:
                engine.dispose()  # the workers open connections of their own
                Fleet(store, count, device, start, accept_drift).run(name, depth)
                _report(name, depth or file.study.depths, engine)
                continue

            evaluator = load_evaluator(file, start, device)
            session = join_session(
                engine, record, evaluator, depths=depth, accept_drift=accept_drift
            )
            _run_session(session, engine)


def _run_session(session: Session, engine: Engine) -> None:
    """Run the trials of a session with progress bars, then print its leaderboards."""
    name = session.study.name
    _announce(session, engine)

    statuses = {row.depth: row for row in patient(depth_statuses)(engine, name)}
    done = {depth: statuses[depth].complete + statuses[depth].failed for depth in session.plans}
    budgets = {depth: statuses[depth].budget for depth in session.plans}
    look = partial(depth_statuses, engine, name)
    report = WorkerProgress(done, budgets, study=name, look=look)
    try:
        if references := _references(session):
            report.count_references(*references)
        with interruptible(_given_back(name)), report:
            run_trials(session, report)
    finally:
        session.mirror.close()

    _report(name, session.plans, engine)


def _references(session: Session) -> tuple[int, int] | None:
    """Return how many trials of the reference are over, and how many there will be."""
    if not session.reference:
        return None
    ended, there = session.queue.references()
    return ended, max(there, len(session.reference))


def _compare_depths(session: Session, engine: Engine) -> None:
    """Count and measure the cost of each depth after its trials, and print it with the scores.

    It is no failure of the trials when that cannot be done.
    """
    study, evaluator = session.study, session.evaluator
    if isinstance(evaluator, evaluators.Measurable):
        whole = whole_base(evaluator.description)
        try:
            costs = count_costs(engine, study, evaluator, whole)
            with (
                interruptible(_unmeasured(study.name)),
                StageProgress(f"speeds of {study.name}") as bar,
            ):
                measure_speeds(engine, study, evaluator, costs, progress=bar.stage)
        except (
            SearchError,
            evaluators.EvaluatorError,
            OSError,
            RuntimeError,
            MemoryError,
        ) as error:
            remark(f"{_unmeasured(study.name)}: {describe_error(error)}")

    rows = list_depths(engine, study)
    if any(row["retained"] is not None or row["parameters"] is not None for row in rows):
        print_depths(study.name, rows)


def _unmeasured(study: str) -> str:
    """Return the remark on speeds that were not measured."""
    return f"speeds were not measured; `layer-search depths {study} --measure` does it"


def _announce(session: Session, engine: Engine) -> None:
    """Say how the base is used, how large each space is, and which families it has no subset of."""
    name = session.study.name
    if words := settings_in_words(session.evaluator.description.settings):
        remark(f"{name}: {session.study.base} with {words}")

    for depth, plan in session.plans.items():
        line = f"{name}/L{depth}: subsets in the space: {plan.space.count}"
        if plan.outside:
            line += f", {len(plan.outside)} of study.first outside it, tried as baselines"
        remark(line)
        if not plan.space.has_global_position:
            remark(f"{name}/L{depth}: {NO_GLOBAL_POSITION}")
        for family, reason in plan.missing.items():
            remark(f"{name}/L{depth}: no subset of the family {family}: {reason}")

    spaces = [plan.space for plan in session.plans.values()]
    for line in unfinished_screens(engine, session.study.id, spaces):
        remark(f"{name}: {line}")

    whole = whole_base(session.evaluator.description)
    if session.study.reference and not can_score(session.evaluator, whole):
        remark(f"{name}: no reference, as there can be no score of the whole base")


def _report(name: str, depths: Collection[int], engine: Engine) -> None:
    """Say how the work on `depths` of a study ended, print their leaderboards and the answer."""
    _summarise(name, depths, engine)
    for depth in depths:
        print_ranking(rank_subsets(engine, name, depth), top=_REPORTED)

    record = find_study(engine, name)
    print_fits(store_fits(engine, record.id, list(record.budgets)))
    print_answers(name, find_answers(engine, record, list(depths)))


def _summarise(name: str, depths: Collection[int], engine: Engine) -> None:
    """Say which depths ended with failures, or with fewer trials than asked for."""
    for row in patient(depth_statuses)(engine, name):
        if row.depth not in depths:
            _mention_reference(row, engine)
            continue
        if row.failed:
            hint = f"see `layer-search trials {row.study} --depth {row.depth}`"
            remark(f"{row.study}/L{row.depth}: failed trials: {row.failed}; {hint}")
        ended = row.complete + row.failed
        if ended < row.budget and row.running + row.waiting == 0:
            remark(f"{row.study}/L{row.depth}: the whole space was tried, trials: {ended}")


def _mention_reference(row: DepthStatus, engine: Engine) -> None:
    """Say so when the trials of the reference, if `row` is its depth, have failed."""
    trials = list_trials(engine, row.study, row.depth)
    failed = [trial for trial in trials if trial["origin"] == "reference" and trial["error"]]
    if failed:
        reason = format_error(failed[0]["error"], set_aside=failed[0]["set_aside"])
        remark(f"{row.study}: the reference has no score: {reason}")


def _given_back(study: str) -> str:
    """Return the remark on an interrupted trial."""
    return f"the claimed trial of {study} was given back: the next worker takes it first"
