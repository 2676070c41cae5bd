"""The study file: TOML, read into frozen typed records."""

import hashlib
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)

import evaluators
from search import families, samplers, subsets
from search.errors import InputError
from search.mistakes import checked
from search.space import LayerSpace
from search.subsets import Subset
from storage.outbox import state_folder

Count = Annotated[int, Field(ge=1)]
Layer = Annotated[int, Field(ge=0)]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


def _named(name: str) -> str:
    if not re.fullmatch(NAME, name):
        message = "should be letters, digits, '.', '_' and '-' without spaces, at most 100"
        raise ValueError(message)
    return name


def _seeds(value: object, check: ValidatorFunctionWrapHandler) -> object:
    try:
        return check(value)
    except ValidationError as error:
        message = 'should be a number of seeds, 1 or more, or "auto"'
        raise ValueError(message) from error


class StudyOptions(evaluators.Options):
    """`[study]`: what is searched, and how long."""

    name: Annotated[str, AfterValidator(_named)]
    """Name in the store: letters, digits, '.', '_' and '-'."""
    depths: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Numbers of layers to keep; one study each."""
    trials: Count | dict[Count, Count]
    """Trials per depth: one number for all, or a table such as { 4 = 40, 7 = 80 }."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the sampler and of every fine-tune."""
    attempts: Count = 3
    """A trial that ends its worker this often, killed or in an unforeseen way, is set aside."""
    replicates: Annotated[Count | Literal["auto"], WrapValidator(_seeds)] = 1
    """Seeds each subset is tried with; "auto" repeats where that is worth more than a new one."""
    first: tuple[str, ...] = ()
    """Subsets or families (front, back, spread) to try first; they may lie outside the space."""


class SpaceOptions(evaluators.Options):
    """`[space]`: which subsets are valid."""

    cadence: str = "strict"
    """Cadence rule: strict, anchored or free."""
    period: Count | None = None
    """Every `period`-th layer is global; taken from the base when left out."""
    keep_first: bool = True
    """Whether layer 0 is always kept."""
    pinned: tuple[Layer, ...] = ()
    """Layers that are always kept."""
    forbidden: tuple[Layer, ...] = ()
    """Layers that are never kept."""


class StudyFile(evaluators.Options):
    """A whole study file; `sampler` and `evaluator` hold all their options, defaults included."""

    study: StudyOptions
    space: SpaceOptions
    base: evaluators.BaseOptions | None
    sampler: dict[str, Any]
    evaluator: dict[str, Any]
    screen: evaluators.ScreenOptions = evaluators.ScreenOptions()

    def plain(self) -> dict[str, Any]:
        """The file as plain JSON values, as the store keeps it."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain

    @classmethod
    def recorded(cls, plain: Mapping[str, Any]) -> "StudyFile":
        """The file whose plain values the store keeps."""
        return parse(plain)

    @property
    def recipe_hash(self) -> str:
        """SHA-256 of everything that decides a score but subset and seed."""
        recipe = {key: self.plain()[key] for key in ("base", "evaluator")}
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()

    def budget(self, depth: int) -> int:
        """Trial budget of `depth`."""
        trials = self.study.trials
        return trials[depth] if isinstance(trials, dict) else trials

    def layer_space(self, depth: int, base: evaluators.Description) -> LayerSpace:
        """The space of `depth` over `base`.

        Raises:
            InputError: the space is impossible, or the period is not the base's.
        """
        period = self.space.period
        if period is not None and base.period != period:
            rhythm = (
                f"the rhythm of {base.base} is {base.period}"
                if base.period
                else (f"{base.base} has no attention rhythm")
            )
            message = f"space.period = {period}, but {rhythm}: leave the key out"
            raise InputError(message)
        try:
            return LayerSpace(
                layers=base.layers,
                depth=depth,
                period=base.period,
                cadence=self.space.cadence,
                keep_first=self.space.keep_first,
                pinned=frozenset(self.space.pinned),
                forbidden=frozenset(self.space.forbidden),
            )
        except InputError as error:
            message = f"study {self.study.name!r}, [space] at depth {depth}: {error}"
            raise InputError(message) from error

    def first(self, space: LayerSpace) -> list[Subset]:
        """The subsets of `space.depth` to try before the sampler is asked, without repeats.

        Raises:
            InputError: one is neither a subset of the base nor a family.
        """
        wanted: dict[Subset, None] = {}
        for entry in self.study.first:
            if entry in families.FAMILIES:
                wanted |= dict.fromkeys(families.build(entry, space))
            elif len(subset := subsets.parse(entry)) == space.depth:
                if subset[-1] >= space.layers:
                    message = f"study.first: {entry}, but the base has only {space.layers} layers"
                    raise InputError(message)
                wanted[subset] = None
        return list(wanted)

    def sampler_for(
        self, space: LayerSpace, hints: Sequence[Callable[..., Any]] = ()
    ) -> samplers.SubsetSampler:
        """The study's sampler over `space`; `hints` go to one that takes any."""
        options = {key: value for key, value in self.sampler.items() if key != "name"}
        sampler = samplers.load(self.sampler["name"])
        if hints and "hints" in inspect.signature(sampler).parameters:
            options["hints"] = hints
        return sampler(space, **{"seed": self.study.seed, **options})

    def evaluator_for(
        self, folder: Path, device: str | None = None, *, base_only: bool = False
    ) -> evaluators.Evaluator:
        """Build the study's evaluator; relative paths start from `folder`.

        With `base_only` it loads no data: enough to export.

        Raises:
            evaluators.InputError: something the file names is missing or does not fit.
        """
        module = evaluators.load(self.evaluator["name"])
        options = {key: value for key, value in self.evaluator.items() if key != "name"}
        record = module.Options.model_validate_json(json.dumps(options))
        scratch = None if base_only else state_folder()
        return module.create(
            record, evaluators.Context(self.base, folder, device, base_only, scratch)
        )


def read(path: Path) -> StudyFile:
    """Read and check the study file at `path`.

    Raises:
        InputError: the file is missing or not TOML, or a key is unknown, missing or impossible;
            the message names the file, the key and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"cannot read study file {path}: {reason}"
        raise InputError(message) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not TOML: {error}"
        raise InputError(message) from error
    try:
        return parse(data)
    except (InputError, evaluators.InputError) as error:
        message = f"{path}: {error}"
        raise InputError(message) from error


def parse(data: Mapping[str, Any]) -> StudyFile:
    """Check the content of a study file.

    Raises:
        InputError: a key is unknown, missing or impossible.
        evaluators.InputError: the evaluator is unknown.
    """
    for section in ("sampler", "evaluator"):
        if not isinstance(data.get(section, {}), dict):
            message = f"{section}: write a table, [{section}]"
            raise InputError(message)
    chosen = {"name": "gp"} | dict(data.get("sampler", {}))
    evaluator = dict(data.get("evaluator", {}))
    complete = {
        "space": {},
        "base": None,
        **data,
        "sampler": {"name": chosen["name"], **_checked_sampler(chosen)},
        "evaluator": {"name": evaluator.get("name"), **_checked_evaluator(evaluator)},
    }
    file = checked(StudyFile, complete, "")
    _check_study(file)
    return file


def _check_study(file: StudyFile) -> None:
    """Refuse what types cannot: repeated depths, budgets of other depths, unreadable subsets."""
    study = file.study
    if repeated := sorted({depth for depth in study.depths if study.depths.count(depth) > 1}):
        message = f"study.depths: depth {repeated[0]} appears twice"
        raise InputError(message)
    if isinstance(study.trials, dict) and set(study.trials) != set(study.depths):
        message = "study.trials: give one number for each of study.depths, and for no other depth"
        raise InputError(message)
    for entry in study.first:
        if entry in families.FAMILIES:
            continue
        try:
            depth = len(subsets.parse(entry))
        except InputError as error:
            message = f"study.first: {error}, or a family: {', '.join(families.FAMILIES)}"
            raise InputError(message) from error
        if depth not in study.depths:
            message = f"study.first: {entry} has none of the study's depths"
            raise InputError(message)


def _checked_sampler(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a sampler, checked against its own signature."""
    sampler = samplers.load(_name(chosen, "sampler", samplers.names()))
    allowed = {
        name: (parameter.annotation, parameter.default)
        for name, parameter in inspect.signature(sampler).parameters.items()
        if name not in ("space", "seed", "hints")
    }
    # pydantic's overloads cannot see that the mapping holds only field definitions
    record = create_model("SamplerOptions", __base__=evaluators.Options, **allowed)  # type: ignore[call-overload]
    options = {key: value for key, value in chosen.items() if key != "name"}
    plain: dict[str, Any] = checked(record, options, "sampler.").model_dump(mode="json")
    return plain


def _checked_evaluator(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an evaluator, checked against its own record."""
    module = evaluators.load(_name(chosen, "evaluator", evaluators.names()))
    options = {key: value for key, value in chosen.items() if key != "name"}
    record = checked(module.Options, options, "evaluator.")
    plain: dict[str, Any] = record.model_dump(mode="json")
    return plain


def _name(chosen: Mapping[str, Any], section: str, choices: list[str]) -> str:
    name = chosen.get("name")
    if not isinstance(name, str):
        message = f"{section}.name: name one of {', '.join(choices)}"
        raise InputError(message)
    return name
