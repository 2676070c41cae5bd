"""The plan of a study: for each depth its space, its sampler and the subsets to try first."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import evaluators
from search.errors import InputError
from search.samplers import SubsetSampler, load
from search.space import LayerSpace, Subset, parse_subset
from search.space.families import FAMILIES, build_family
from search.study.file import StudyFile, evaluator_options
from search.surrogate import Hint, Surrogate
from storage.queue import prepared_folder


@dataclass(frozen=True)
class DepthPlan:
    """The trials of one depth: the hand-picked subsets first, then the sampler's proposals.

    Attributes:
        space: the space that is searched.
        sampler: the sampler over it.
        sampler_name: its name.
        first: the hand-picked subsets, which may lie outside the space.
        seed: seed of the first trial of each subset.
        replicates: seeds each subset is tried with; "auto" lets the posterior choose the repeats.
        hints: guesses of the screens at the scores.
        missing: by family of `study.first` without a subset at this depth, the reason.
    """

    space: LayerSpace
    sampler: SubsetSampler
    sampler_name: str
    first: Sequence[Subset]
    seed: int = 0
    replicates: int | Literal["auto"] = 1
    hints: Sequence[Hint] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def outside(self) -> list[Subset]:
        """The hand-picked subsets that are not in the space."""
        return [subset for subset in self.first if subset not in self.space]

    @cached_property
    def surrogate(self) -> Surrogate:
        """The surrogate by which repeats are chosen, hand-picked subsets included."""
        return Surrogate.unconstrained(self.space, self.hints, transfer=self.sampler.transfer)


def plan_depths(file: StudyFile, base: evaluators.Description) -> dict[int, DepthPlan]:
    """Return the plan of each depth of the study.

    Raises:
        InputError: the space of a depth is impossible.
    """
    plans = {}
    for depth in file.study.depths:
        space = build_space(file, depth, base)
        plans[depth] = DepthPlan(
            space=space,
            sampler=_build_sampler(file, space),
            sampler_name=file.sampler["name"],
            first=_first_subsets(file, space),
            seed=file.study.seed,
            replicates=file.study.replicates,
            missing=_missing_families(file, space),
        )
    return plans


def add_hints(plan: DepthPlan, file: StudyFile, hints: Sequence[Hint]) -> DepthPlan:
    """Return `plan` with hints, which go to its sampler if it takes any."""
    return replace(plan, sampler=_build_sampler(file, plan.space, hints), hints=hints)


def require_depths(file: StudyFile, depths: Sequence[int] | None) -> None:
    """Refuse depths that the study does not search.

    Raises:
        InputError: one is not in the study; the message lists the depths of the study.
    """
    for depth in depths or ():
        if depth not in file.study.depths:
            there = ", ".join(map(str, file.study.depths))
            message = f"study {file.study.name!r} has no depth {depth}: it has {there}"
            raise InputError(message)


def require_layers(base: evaluators.Description, subset: Subset) -> None:
    """Refuse a subset that `base` has not the layers for.

    Raises:
        InputError: it names a layer that does not exist.
    """
    if subset[-1] >= base.layers:
        message = (
            f"layer {subset[-1]} does not exist: {base.base} has layers 0 to {base.layers - 1}"
        )
        raise InputError(message)


def build_space(file: StudyFile, depth: int, base: evaluators.Description) -> LayerSpace:
    """Return the space of `depth` over `base`.

    Raises:
        InputError: the space is impossible, or the file names another rhythm than the base's.
    """
    _require_rhythm(file, base)

    try:
        return LayerSpace(
            layers=base.layers,
            depth=depth,
            period=base.period,
            cadence=file.space.cadence,
            keep_first=file.space.keep_first,
            pinned=frozenset(file.space.pinned),
            forbidden=frozenset(file.space.forbidden),
            phase=base.phase,
        )
    except InputError as error:
        message = f"study {file.study.name!r}, [space] at depth {depth}: {error}"
        raise InputError(message) from error


def _require_rhythm(file: StudyFile, base: evaluators.Description) -> None:
    """Refuse a period or a phase that is not the base's.

    Raises:
        InputError: the file names another one; the message says the base's.
    """
    period, phase = file.space.period, file.space.phase
    if period is not None and base.period is None:
        problem = f"space.period = {period}, but {base.base} has no attention rhythm"
    elif period not in (None, base.period):
        problem = f"space.period = {period}, but the rhythm of {base.base} is {base.period}"
    elif phase is not None and base.period is None:
        problem = f"space.phase = {phase!r}, but {base.base} has no attention rhythm"
    elif phase not in (None, base.phase):
        problem = f"space.phase = {phase!r}, but the global layers of {base.base} come {base.phase}"
    else:
        return
    message = f"{problem}: leave the key out"
    raise InputError(message)


def _first_subsets(file: StudyFile, space: LayerSpace) -> list[Subset]:
    """Return the subsets of `study.first` with the depth of `space`, without repeats.

    Raises:
        InputError: one has a layer that the base does not have.
    """
    wanted: dict[Subset, None] = {}
    for entry in file.study.first:
        if entry in FAMILIES:
            wanted |= dict.fromkeys(build_family(entry, space).subsets)
        elif len(subset := parse_subset(entry)) == space.depth:
            if subset[-1] >= space.layers:
                message = f"study.first: {entry}, but the base has only {space.layers} layers"
                raise InputError(message)
            wanted[subset] = None
    return list(wanted)


def _missing_families(file: StudyFile, space: LayerSpace) -> dict[str, str]:
    """Return the reason for each family of `study.first` that has no subset for `space`."""
    named = (entry for entry in file.study.first if entry in FAMILIES)
    picks = {family: build_family(family, space) for family in named}
    return {family: pick.missing for family, pick in picks.items() if pick.missing}


def _build_sampler(file: StudyFile, space: LayerSpace, hints: Sequence[Hint] = ()) -> SubsetSampler:
    """Return the study's sampler over `space`; `hints` go to one that takes any."""
    options = {key: value for key, value in file.sampler.items() if key != "name"}
    sampler = load(file.sampler["name"])
    if hints and "hints" in inspect.signature(sampler).parameters:
        options["hints"] = hints
    return sampler(space, **{"seed": file.study.seed, **options})


def build_evaluator(
    file: StudyFile, folder: Path, device: str | None = None, *, base_only: bool = False
) -> evaluators.Evaluator:
    """Build the study's evaluator.

    Args:
        file: the study file.
        folder: folder that its relative paths start from.
        device: torch device such as `cuda:1`; None takes the best there is.
        base_only: load no data: enough to export.

    Raises:
        evaluators.InputError: data or base that the file names are missing or do not fit.
    """
    record = evaluator_options(file.evaluator["name"])
    options = {key: value for key, value in file.evaluator.items() if key != "name"}
    scratch = None if base_only else prepared_folder()
    context = evaluators.Context(
        file.base, folder, device, base_only, scratch, own_rhythm=file.own_rhythm
    )
    return record.model_validate_json(json.dumps(options)).create(context)
