"""Commands that change the store: launch, work, evaluate, init."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.arguments import DEFAULT_STORE, Device, Folder, Store, StudyPath, opened
from search.cli.output import console, errors
from search.errors import InputError, SearchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from search.job import Job
    from search.studyfile import StudyFile
    from storage.claims import Claim
    from storage.studies import DepthStatus

EXAMPLES = {
    "init": "Example: layer-search init --store postgresql://search@db.example/search",
    "launch": "Example: layer-search launch examples/minilm.toml --depth 3 --trials 10",
    "work": "Example: layer-search work minilm --store postgresql://search@db.example/search",
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
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Create or join the studies of a study file and work until every depth has its trials.

    Launching again goes on where it stopped. Ctrl-C gives the claimed trial back.
    """
    from search import studyfile

    file = studyfile.read(study)
    folder = study.resolve().parent
    _refuse_changed(file, store)
    with errors.status(f"loading the base and data of {file.study.name}"):
        evaluator = file.evaluator_for(folder, device)
    from search import job as jobs

    jobs.plan(file, evaluator.description, depth)  # before anything is written
    with opened(store, create=True) as engine:
        _work(jobs.begin(engine, file, folder, evaluator, depths=depth, trials=trials), engine)


def init(*, store: Store = DEFAULT_STORE) -> None:
    """Create the store, or migrate one that an older release made. Launching does it too."""
    from storage import engine as engines

    with opened(store, create=True):
        console.print(f"{engines.display(engines.parse(store))} is ready")


def work(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; all when left out.")
    ] = None,
    *,
    folder: Folder = None,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Join studies that were launched elsewhere, with nothing but the store's URL."""
    from search import job as jobs
    from search.studyfile import StudyFile
    from storage import studies

    if study is not None and study.endswith(".toml"):
        message = f"`work` takes a study's name, not a file: use `layer-search launch {study}`"
        raise InputError(message)
    with opened(store) as engine:
        names = [study] if study is not None else studies.names(engine)
        if not names:
            console.print("the store holds no study yet")
        for name in names:
            record = studies.find(engine, name)
            file = StudyFile.recorded(record.file)
            start = folder or Path(record.folder)
            with errors.status(f"loading the base and data of {name}"):
                evaluator = file.evaluator_for(start, device)
            depths = [depth for depth in record.budgets if depth in file.study.depths]
            _work(jobs.begin(engine, file, start, evaluator, depths=depths), engine)


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
    _refuse_changed(file, store)
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


COMMANDS = (launch, work, evaluate, init)


def _run_single(job: "Job", held: "Claim") -> None:
    """Run one claimed trial with a progress bar; raises `SearchError` when it has no score."""
    from search import worker
    from search.cli.progress import WorkerProgress

    with _interruptible(job.study.name), WorkerProgress({}, {}, failures=False) as report:
        result = worker.run(job, held, report)
    if result.error:
        message = f"{held.subset} has no score: {result.error}"
        raise SearchError(message)


def _work(job: "Job", engine: "Engine") -> None:
    """Run the trials of `job` with progress bars, then print its leaderboards."""
    from search import worker
    from search.cli.look import print_ranking
    from search.cli.progress import WorkerProgress
    from storage import leaderboard, studies

    name = job.study.name
    status = {row.depth: row for row in studies.status(engine, name) if row.depth in job.plans}
    _announce(job)
    done = {depth: row.complete + row.failed for depth, row in status.items()}
    budgets = {depth: row.budget for depth, row in status.items()}
    try:
        with _interruptible(name), WorkerProgress(done, budgets) as report:
            worker.work(job, report)
    finally:
        job.mirror.close()
    _summarise(job, studies.status(engine, name))
    for depth in job.plans:
        print_ranking(leaderboard.ranking(engine, name, depth), top=10)


def _announce(job: "Job") -> None:
    for depth, plan in job.plans.items():
        line = f"{job.study.name}/L{depth}: subsets in the space: {plan.space.count}"
        if plan.outside:
            line += f", {len(plan.outside)} of study.first outside it, tried as baselines"
        errors.print(line, highlight=False)


def _summarise(job: "Job", status: "Sequence[DepthStatus]") -> None:
    """Say which depths ended with failures, or with fewer trials than asked for."""
    for row in status:
        if row.depth not in job.plans:
            continue
        if row.failed:
            hint = f"see `layer-search trials {row.study} --depth {row.depth}`"
            errors.print(f"{row.study}/L{row.depth}: failed trials: {row.failed}; {hint}")
        if row.complete + row.failed < row.budget:
            count = job.plans[row.depth].space.count
            errors.print(f"{row.study}/L{row.depth}: the whole space was tried, subsets: {count}")


def _refuse_changed(file: "StudyFile", url: str) -> None:
    """Refuse a changed study file before its base and data are loaded."""
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
    studies.require_same(record, file.plain())


@contextmanager
def _interruptible(study: str) -> Iterator[None]:
    """Let SIGTERM end a worker as Ctrl-C does, and say what became of its trial."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        errors.print(f"the claimed trial of {study} was given back: the next worker takes it first")
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
