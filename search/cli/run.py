"""Commands that run trials: launch, work, evaluate."""

import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import fleet
from search.cli.arguments import (
    DEFAULT_STORE,
    AcceptDrift,
    Device,
    Folder,
    Store,
    StudyPath,
    Workers,
    opened,
)
from search.cli.output import console, errors
from search.errors import InputError, SearchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from search.job import Job
    from search.studyfile import StudyFile
    from storage.claims import Claim
    from storage.status import DepthStatus

EXAMPLES = {
    "launch": "Example: layer-search launch examples/minilm.toml --depth 3 --trials 10",
    "work": "Example: layer-search work minilm --workers 4",
    "evaluate": "Example: layer-search evaluate examples/mmbert-small.toml --subset 0_1_2_18",
}
_Depths = Annotated[
    list[int] | None, typer.Option("--depth", min=1, help="Work on this depth only; repeatable.")
]


def launch(
    study: StudyPath,
    *,
    depth: _Depths = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Set the trial budget of each depth worked on.")
    ] = None,
    workers: Workers = None,
    accept_drift: AcceptDrift = False,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Create or join the studies of a study file and work until every depth has its trials.

    Launching again goes on where it stopped. Ctrl-C gives the claimed trial back.
    """
    from search import studyfile

    file = studyfile.read(study)
    folder = study.resolve().parent
    refuse_changed(file, store)
    with errors.status(f"loading the base and data of {file.study.name}"):
        evaluator = file.evaluator_for(folder, device)
    from search import job as jobs

    jobs.plan(file, evaluator.description, depth)  # before anything is written
    with opened(store, create=True) as engine:
        job = jobs.begin(
            engine, file, folder, evaluator,
            depths=depth, trials=trials, accept_drift=accept_drift,
        )  # fmt: skip
        if (count := fleet.size(workers, device)) == 1:
            _work(job, engine)
            return
        job.mirror.close()
        fleet.run(fleet.Fleet(store, count, device, folder, accept_drift), job.study.name, depth)
        _report(job.study.name, job.plans, engine)


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
    from search import job as jobs
    from search.studyfile import StudyFile
    from storage import studies

    if study is not None and study.endswith(".toml"):
        message = f"`work` takes a study's name, not a file: use `layer-search launch {study}`"
        raise InputError(message)
    count = fleet.size(workers, device)
    with opened(store) as engine:
        names = [study] if study is not None else studies.names(engine)
        if not names:
            console.print("the store holds no study yet")
        for name in names:
            record = studies.find(engine, name)
            file = StudyFile.recorded(record.file)
            jobs.require_depths(file, depth)
            start = folder or Path(record.folder)
            if count > 1:
                fleet.run(fleet.Fleet(store, count, device, start, accept_drift), name, depth)
                _report(name, depth or file.study.depths, engine)
                continue
            with errors.status(f"loading the base and data of {name}"):
                evaluator = file.evaluator_for(start, device)
            job = jobs.begin(
                engine, file, start, evaluator, depths=depth, accept_drift=accept_drift
            )
            _work(job, engine)


def evaluate(
    study: StudyPath,
    *,
    subset: Annotated[str, typer.Option(help="Layers to keep, such as 0_1_2_18.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed; the study's when left out.")
    ] = None,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Evaluate one subset and record it in the study, outside its budget."""
    from search import job as jobs
    from search import studyfile, subsets, worker
    from storage import leaderboard

    file = studyfile.read(study)
    kept = subsets.parse(subset)
    folder = study.resolve().parent
    refuse_changed(file, store)
    with errors.status(f"loading the base and data of {file.study.name}"):
        evaluator = file.evaluator_for(folder, device)
    jobs.check_subset(evaluator.description, kept)
    with opened(store, create=True) as engine:
        if len(kept) not in file.study.depths:
            errors.print(f"depth {len(kept)} is not among the study's: recorded beside them")
        job = jobs.begin_single(engine, file, folder, evaluator, len(kept))
        held = worker.claim_single(job, kept, file.study.seed if seed is None else seed)
        if held is None:
            console.print(f"{subset} was evaluated before")
        else:
            _run_single(job, held)
        job.mirror.close()
        rows = leaderboard.ranking(engine, file.study.name, len(kept))
    from search.cli.look import print_ranking

    print_ranking([row for row in rows if row["subset"] == subset])


COMMANDS = (launch, work, evaluate)


def _run_single(job: "Job", held: "Claim") -> None:
    """Run one claimed trial with a progress bar; raises `SearchError` when it has no score."""
    from search import worker
    from search.cli.progress import WorkerProgress

    with (
        interruptible(_given_back(job.study.name)),
        WorkerProgress({}, {}, failures=False) as report,
    ):
        result = worker.run(job, held, report)
    if result.error:
        message = f"{held.subset} has no score: {result.error}"
        raise SearchError(message)


def _work(job: "Job", engine: "Engine") -> None:
    """Run the trials of `job` with progress bars, then print its leaderboards."""
    from search import worker
    from search.cli.progress import WorkerProgress
    from storage.status import status as standing

    name = job.study.name
    status = {row.depth: row for row in standing(engine, name) if row.depth in job.plans}
    _announce(job)
    done = {depth: row.complete + row.failed for depth, row in status.items()}
    budgets = {depth: row.budget for depth, row in status.items()}
    try:
        with interruptible(_given_back(name)), WorkerProgress(done, budgets) as report:
            worker.work(job, report)
    finally:
        job.mirror.close()
    _report(name, job.plans, engine)


def _report(name: str, depths: "Collection[int]", engine: "Engine") -> None:
    """Say how the work on `depths` of a study ended, print their leaderboards and the answer."""
    from search import answers
    from search.cli.look import print_ranking
    from search.cli.screen import print_answers, print_fits, store_fits
    from storage import leaderboard, studies
    from storage.status import status

    _summarise([row for row in status(engine, name) if row.depth in depths])
    for depth in depths:
        print_ranking(leaderboard.ranking(engine, name, depth), top=10)
    record = studies.find(engine, name)
    print_fits(store_fits(engine, record.id, list(record.budgets)))
    print_answers(name, answers.of_study(engine, record, list(depths)))


def _announce(job: "Job") -> None:
    from search import screening

    for depth, plan in job.plans.items():
        line = f"{job.study.name}/L{depth}: subsets in the space: {plan.space.count}"
        if plan.outside:
            line += f", {len(plan.outside)} of study.first outside it, tried as baselines"
        errors.print(line, highlight=False)
    spaces = [plan.space for plan in job.plans.values()]
    for line in screening.unfinished(job.engine, job.study.id, spaces):
        errors.print(f"{job.study.name}: {line}", highlight=False, soft_wrap=True)


def _summarise(status: "Sequence[DepthStatus]") -> None:
    """Say which depths ended with failures, or with fewer trials than asked for."""
    for row in status:
        if row.failed:
            hint = f"see `layer-search trials {row.study} --depth {row.depth}`"
            errors.print(f"{row.study}/L{row.depth}: failed trials: {row.failed}; {hint}")
        ended = row.complete + row.failed
        if ended < row.budget and row.running + row.waiting == 0:
            errors.print(f"{row.study}/L{row.depth}: the whole space was tried, trials: {ended}")


def refuse_changed(file: "StudyFile", url: str) -> None:
    """Refuse a changed study file before its base and data are loaded."""
    from search import job as jobs
    from storage import engine as engines
    from storage import errors as storage_errors
    from storage import studies

    engines.parse(url)
    try:
        with opened(url) as engine:
            record = studies.find(engine, file.study.name)
    except storage_errors.InputError:
        return  # no such store or study yet: it will be created
    except storage_errors.StoreUnavailableError:
        raise  # before minutes are spent on loading
    except storage_errors.StorageError:
        return  # an older store: opening it for writing migrates it
    jobs.require_same(record, file)


def _given_back(study: str) -> str:
    return f"the claimed trial of {study} was given back: the next worker takes it first"


@contextmanager
def interruptible(consequence: str) -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, and say what became of its work."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        errors.print(consequence)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
