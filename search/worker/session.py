"""A session: everything a worker needs to run the trials of one study, checked and ready."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine

import evaluators
from search.errors import InputError
from search.study.compatibility import find_drift, require_same_machine
from search.study.file import StudyFile, parse_study_file
from search.study.history import History
from search.study.plan import DepthPlan, add_hints, plan_depths, require_depths
from search.study.reconciliation import reconcile, require_same_recipe
from search.study.reference import plan_reference
from search.study.screening import screen_hints
from search.worker.optuna_mirror import OptunaMirror
from storage.database import patient
from storage.queue import NewTrial, TrialQueue, lease_seconds
from storage.setup import make_ready
from storage.states import UNSCORED_ROLES
from storage.studies import (
    StudyDefinition,
    StudyRecord,
    StudyUpdate,
    TaskShare,
    add_depth,
    begin_study,
    find_study,
    set_budgets,
    set_reference,
)


@dataclass(frozen=True, slots=True)
class Session:
    """The work of one process on one study.

    Attributes:
        study: the study.
        queue: its trials.
        evaluator: its evaluator.
        mirror: its Optuna studies.
        plans: the plan of each depth that is worked on.
        reference: trials of the whole base that the study shall have, outside its budgets.
        histories: the trials of each of these depths.
        attempts: a trial that ends its worker this often is set aside.
        drift: how this machine differs from the one that began the study, recorded with each trial;
            None when it does not.
        changes: one line for each key of the study file that was taken over into the store.
    """

    study: StudyRecord
    queue: TrialQueue
    evaluator: evaluators.Evaluator
    mirror: OptunaMirror
    plans: Mapping[int, DepthPlan]
    histories: Mapping[int, History]
    attempts: int
    drift: str | None
    reference: Sequence[NewTrial] = ()
    changes: tuple[str, ...] = ()


def begin_session(
    engine: Engine,
    file: StudyFile,
    folder: Path,
    evaluator: evaluators.Evaluator,
    *,
    depths: Sequence[int] | None = None,
    trials: int | None = None,
    accept_drift: bool = False,
) -> Session:
    """Create the study in the store, or join it and take over the changes of its file.

    Nothing is written before every depth is planned; then a missing store is created.

    Args:
        engine: the store.
        file: the study file, completed by `find_reconciled`.
        folder: folder that its relative paths start from.
        evaluator: its evaluator.
        depths: work on these depths only.
        trials: set the budget of these depths to this.
        accept_drift: record how this machine differs from the one that began the study, instead of
            refusing it.

    Raises:
        InputError: a depth is impossible, or the study exists with another recipe, base, data or
            libraries.
    """
    base = evaluator.description
    lease = lease_seconds()
    require_depths(file, depths)
    plans = plan_depths(file, base)
    chosen = {depth: plans[depth] for depth in depths or plans}
    changes: list[str] = []

    def join(record: StudyRecord) -> StudyUpdate | None:
        said, update = _take_over(record, file, base, accept_drift=accept_drift)
        changes[:] = said or changes  # after an outage it is called again, with nothing to say
        return update

    make_ready(engine)
    budgets = {depth: file.budget(depth) for depth in plans}
    study = begin_study(engine, _define(file, folder, base), budgets, join)
    if file.study.reference not in (None, study.reference):
        study = set_reference(engine, study, wanted=not study.reference)

    if trials is not None:
        set_budgets(engine, study, dict.fromkeys(chosen, trials))
    session = _open_session(engine, file, study, evaluator, chosen, lease)
    return replace(session, changes=tuple(changes))


def _take_over(
    record: StudyRecord, file: StudyFile, base: evaluators.Description, *, accept_drift: bool
) -> tuple[Sequence[str], StudyUpdate | None]:
    """Return the changes of a file to a study that is there, in words and for the store.

    Raises:
        InputError: the file has another recipe, or this machine another base, data or libraries.
    """
    found = reconcile(record, file)
    require_same_recipe(file, found.file)

    update = found.update
    if found.has_other_data and update is not None:
        scored = {k: v for k, v in record.fingerprints.items() if k not in UNSCORED_ROLES}
        record = replace(record, fingerprints=scored)
        update = replace(update, fingerprints={**base.fingerprints, **scored})

    if not accept_drift:
        require_same_machine(record, base)
    return found.changes, update


def join_session(
    engine: Engine,
    study: StudyRecord,
    evaluator: evaluators.Evaluator,
    *,
    depths: Sequence[int] | None = None,
    accept_drift: bool = False,
) -> Session:
    """Join a study as the store has it by now, without a file of one's own.

    Args:
        engine: the store.
        study: the study as it was when its evaluator was built.
        evaluator: its evaluator.
        depths: work on these depths only.
        accept_drift: record how this machine differs from the one that began the study, instead of
            refusing it.

    Raises:
        InputError: the study has not these depths, was begun anew since, or has another base, data
            or libraries.
    """
    lease = lease_seconds()
    now = find_study(engine, study.name)
    if now.uid != study.uid:
        message = f"study {study.name!r} was deleted and begun anew meanwhile: start again"
        raise InputError(message)

    file = parse_study_file(now.file)
    require_depths(file, depths)
    plans = plan_depths(file, evaluator.description)
    if not accept_drift:
        require_same_machine(now, evaluator.description)
    chosen = {depth: plans[depth] for depth in depths or plans}
    return _open_session(engine, file, now, evaluator, chosen, lease)


def _open_session(
    engine: Engine,
    file: StudyFile,
    study: StudyRecord,
    evaluator: evaluators.Evaluator,
    plans: Mapping[int, DepthPlan],
    lease: float,
) -> Session:
    """Return the session on the planned depths of a study that is in the store."""
    hinted = {
        depth: add_hints(plan, file, screen_hints(engine, study.id, depth))
        for depth, plan in plans.items()
    }
    queue = TrialQueue(engine, study, lease=lease)
    reference = plan_reference(file, evaluator) if study.reference else []
    depths = dict.fromkeys([*hinted, *(trial.depth for trial in reference)])

    return Session(
        study=study,
        queue=queue,
        evaluator=evaluator,
        mirror=patient(OptunaMirror)(engine.url, study, depths, queue),
        plans=hinted,
        histories={depth: History(engine, study.id, depth) for depth in hinted},
        attempts=file.study.attempts,
        drift=find_drift(study, evaluator.description),
        reference=reference,
    )


def begin_manual(
    engine: Engine,
    file: StudyFile,
    folder: Path,
    evaluator: evaluators.Evaluator,
    depths: Collection[int],
) -> Session:
    """Create or join the study for hand-picked trials of any depths.

    The study need not search these depths.

    Args:
        engine: the store.
        file: the study file, completed by `find_reconciled`.
        folder: folder that its relative paths start from.
        evaluator: its evaluator.
        depths: depths of the trials.

    Raises:
        InputError: the study exists with another recipe, base, data or libraries.
    """
    session = begin_session(engine, file, folder, evaluator)
    beside = sorted({*depths} - {*session.plans})
    if not beside:
        return session

    for depth in beside:
        add_depth(engine, session.study, depth)
    session.mirror.close()
    opened = [*session.plans, *beside]
    mirror = patient(OptunaMirror)(engine.url, session.study, opened, session.queue)
    return replace(session, mirror=mirror, reference=())


def _define(file: StudyFile, folder: Path, base: evaluators.Description) -> StudyDefinition:
    """Return the study that `file` describes over `base`."""
    shares = {task: TaskShare(part.test_set, part.share) for task, part in base.tasks.items()}

    return StudyDefinition(
        name=file.study.name,
        file=file.plain(),
        folder=str(folder),
        recipe_hash=file.recipe_hash(base.settings),
        base=base.base,
        layers=base.layers,
        period=base.period,
        phase=base.phase,
        fingerprints=dict(base.fingerprints),
        versions=dict(base.versions),
        settings=dict(base.settings),
        tasks=shares,
        reference=file.study.reference is not False,
        margin=file.study.margin,
    )
