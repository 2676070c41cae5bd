"""A job: one study as a worker sees it, checked and ready to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

import evaluators
from search import answer, screening
from search.errors import InputError
from search.history import History
from search.mirror import Mirror
from search.samplers import SubsetSampler
from search.space import LayerSpace
from search.studyfile import StudyFile
from search.subsets import Subset
from search.surrogate import Surrogate
from search.surrogate.model import Hint
from storage import claims, studies
from storage.studies import StudyRecord


@dataclass(frozen=True)
class DepthPlan:
    """What is tried at one depth: the hand-picked subsets first, then what the sampler proposes."""

    space: LayerSpace
    sampler: SubsetSampler
    sampler_name: str
    first: Sequence[Subset]
    seed: int = 0
    """Seed of the first trial of each subset."""
    replicates: int | Literal["auto"] = 1
    """Seeds each subset is tried with; "auto" lets `search.answer` choose which to repeat."""
    hints: Sequence[Hint] = ()
    """What the screens say."""

    @property
    def outside(self) -> list[Subset]:
        """The hand-picked subsets that are not in the space."""
        return [subset for subset in self.first if subset not in self.space]

    @cached_property
    def judge(self) -> Surrogate:
        """What judges the trials of this depth, and chooses which to repeat."""
        return answer.judge(self.space, self.hints, transfer=self.sampler.transfer)


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a worker needs to run the trials of one study."""

    engine: Engine
    study: StudyRecord
    evaluator: evaluators.Evaluator
    mirror: Mirror
    plans: Mapping[int, DepthPlan]
    histories: Mapping[int, History]
    attempts: int
    """A trial that ends its worker this often is set aside."""
    lease: float
    """Seconds a claim lasts without being renewed."""
    drift: str | None
    """How this machine differs from what the study began with; recorded with each trial."""


def plan(
    file: StudyFile, base: evaluators.Description, depths: Sequence[int] | None = None
) -> dict[int, DepthPlan]:
    """The plan of each of `depths`, or of all depths of the study.

    Raises:
        InputError: a depth is not in the study, or its space is impossible.
    """
    require_depths(file, depths)
    plans = {}
    for depth in depths or file.study.depths:
        space = file.layer_space(depth, base)
        sampler = file.sampler_for(space)
        plans[depth] = DepthPlan(
            space, sampler, file.sampler["name"], file.first(space),
            file.study.seed, file.study.replicates,
        )  # fmt: skip
    return plans


def require_depths(file: StudyFile, depths: Sequence[int] | None) -> None:
    """Refuse depths that the study does not search.

    Raises:
        InputError: one is not in the study; the message lists those that are.
    """
    for depth in depths or ():
        if depth not in file.study.depths:
            there = ", ".join(map(str, file.study.depths))
            message = f"study {file.study.name!r} has no depth {depth}: it has {there}"
            raise InputError(message)


def begin(
    engine: Engine,
    file: StudyFile,
    folder: Path,
    evaluator: evaluators.Evaluator,
    *,
    depths: Sequence[int] | None = None,
    trials: int | None = None,
    accept_drift: bool = False,
) -> Job:
    """Create the study in the store, or join it.

    Args:
        engine: the store.
        file: the study file.
        folder: folder that its relative paths start from.
        evaluator: its evaluator.
        depths: work on these depths only.
        trials: set the budget of these depths to this.
        accept_drift: record how this machine differs from what the study began with, instead of
            refusing it.

    Raises:
        InputError: a depth is impossible.
        storage.errors.InputError: the study exists with another file, base, data or libraries.
    """
    lease = claims.lease_seconds()
    base = evaluator.description
    plans = plan(file, base)
    require_depths(file, depths)

    def check(record: StudyRecord) -> None:
        require_same(record, file)
        if not accept_drift:
            studies.require_same_data(record, base.fingerprints, base.versions)

    record = studies.begin(
        engine,
        name=file.study.name,
        file=file.plain(),
        folder=str(folder),
        recipe_hash=file.recipe_hash,
        base=base.base,
        layers=base.layers,
        period=base.period,
        fingerprints=base.fingerprints,
        versions=base.versions,
        budgets={depth: file.budget(depth) for depth in plans},
        check=check,
    )
    wanted = {
        depth: _hinted(plans[depth], file, screening.hints(engine, record.id, depth))
        for depth in depths or plans
    }
    if trials is not None:
        studies.set_budgets(engine, record, dict.fromkeys(wanted, trials))
    names = {depth: studies.optuna_name(record.name, depth) for depth in wanted}
    return Job(
        engine,
        record,
        evaluator,
        Mirror(engine.url, names, base.layers),
        wanted,
        {depth: History(engine, record.id, depth) for depth in wanted},
        attempts=file.study.attempts,
        lease=lease,
        drift=studies.drift(record, base.fingerprints, base.versions),
    )


def _hinted(plan: DepthPlan, file: StudyFile, hints: Sequence[Hint]) -> DepthPlan:
    """`plan` with a sampler that knows what the screens say."""
    return replace(plan, sampler=file.sampler_for(plan.space, hints), hints=hints)


def begin_single(
    engine: Engine,
    file: StudyFile,
    folder: Path,
    evaluator: evaluators.Evaluator,
    depth: int,
) -> Job:
    """A job for one hand-picked trial of any depth, also one the study does not search.

    Raises:
        storage.errors.InputError: the study exists with another file, base, data or libraries.
    """
    job = begin(engine, file, folder, evaluator)
    if depth in job.plans:
        return job
    studies.add_depth(engine, job.study, depth)
    job.mirror.close()
    names = {depth: studies.optuna_name(job.study.name, depth)}
    mirror = Mirror(engine.url, names, evaluator.description.layers)
    return replace(job, mirror=mirror, plans={}, histories={})


def require_same(record: StudyRecord, file: StudyFile) -> None:
    """Refuse `file` unless it is the one that `record` began with.

    Raises:
        storage.errors.InputError: it is not; the message lists the keys that differ.
    """
    # read anew: what an older release stored lacks the keys that have come since
    stored = StudyFile.recorded(record.file).plain()
    studies.require_same(replace(record, file=stored), file.plain())


def check_subset(base: evaluators.Description, subset: Subset) -> None:
    """Refuse a subset that `base` has not the layers for.

    Raises:
        InputError: it names a layer that does not exist.
    """
    if subset[-1] >= base.layers:
        message = (
            f"layer {subset[-1]} does not exist: {base.base} has layers 0 to {base.layers - 1}"
        )
        raise InputError(message)
