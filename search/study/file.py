"""The study file: TOML, read into frozen typed records."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from functools import cache
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
from search import plugins, samplers
from search.errors import InputError
from search.space import cadences, parse_subset
from search.space.families import FAMILIES
from search.space.rhythm import Phase
from search.study.validation import validate
from search.toml_file import read_toml
from storage.errors import InputError as StoreInputError
from storage.studies import DEFAULT_MARGIN, StudyName
from storage.values.bounds import (
    LARGEST_INTEGER,
    LARGEST_SEED,
    MOST_LAYERS,
    MOST_SEEDS,
)

Layer = Annotated[int, Field(ge=0, lt=MOST_LAYERS)]
Layers = Annotated[tuple[Layer, ...], Field(max_length=MOST_LAYERS)]

Count = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
Depth = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Seeds = Annotated[int, Field(ge=1, le=MOST_SEEDS)]

MOST_FIRST = 10_000
"""Entries of `study.first`. A heuristic: more than anybody picks by hand, and few enough to be
looked through for every trial.
"""

_NEVER_RESOLVED = ("model", "revision", "precision", "rhythm")  # keys of [base], by a base's files
_FILLED_IN = ("space", "seed", "hints")  # arguments of a sampler that the study fills in itself


def _check_cadence(name: str) -> str:
    """Refuse a cadence rule that does not exist."""
    if name not in cadences.names():
        message = f"should be one of {', '.join(cadences.names())}"
        raise ValueError(message)
    return name


def _check_seeds(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """Say in one sentence which values `study.replicates` takes."""
    try:
        return check(value)
    except ValidationError as error:
        message = f'should be a number of seeds, 1 to {MOST_SEEDS}, or "auto"'
        raise ValueError(message) from error


class StudyOptions(evaluators.StrictRecord):
    """`[study]`: the depths to search, and the trials to spend."""

    name: StudyName
    """Name in the store: letters, digits, '.', '_' and '-'."""
    depths: Annotated[tuple[Depth, ...], Field(min_length=1, max_length=MOST_LAYERS)]
    """Numbers of layers to keep; each is a search of its own."""
    trials: Count | Annotated[dict[Depth, Count], Field(max_length=MOST_LAYERS)]
    """Trials per depth: one number for all, or a table such as { 4 = 40, 7 = 80 }."""
    seed: Seed = 0
    """Seed of the sampler and of every fine-tune."""
    attempts: Count = 3
    """A trial that ends its worker this often, killed or in an unforeseen way, is set aside."""
    replicates: Annotated[Seeds | Literal["auto"], WrapValidator(_check_seeds)] = 1
    """Seeds each subset is tried with; "auto" repeats a subset where a new one is worth less."""
    margin: Annotated[float, Field(ge=0, le=1)] = DEFAULT_MARGIN
    """How far below the leader's mean the pick may lie: what a simpler subset may cost."""
    first: Annotated[tuple[str, ...], Field(max_length=MOST_FIRST)] = ()
    """Subsets, or families such as front and back, to try first; they may lie outside the space."""
    reference: bool | None = None
    """Whether to try the whole base, too, beyond the trials; true when left out in a new study."""


class SpaceOptions(evaluators.StrictRecord):
    """`[space]`: the rules for valid subsets."""

    cadence: Annotated[str, AfterValidator(_check_cadence)] = "strict"
    """Cadence rule: strict, anchored, periodic or free."""
    period: Depth | None = None
    """One of `period` layers is global; taken from the base when left out."""
    phase: Phase | None = None
    """Which layer of each period is the global one; taken from the base when left out."""
    keep_first: bool = True
    """Whether layer 0 is always kept."""
    pinned: Layers = ()
    """Layers that are always kept."""
    forbidden: Layers = ()
    """Layers that are never kept."""


class StudyFile(evaluators.StrictRecord):
    """A whole study file; `sampler` and `evaluator` hold all their options, defaults included."""

    study: StudyOptions
    space: SpaceOptions
    base: evaluators.BaseOptions | None
    sampler: dict[str, Any]
    evaluator: dict[str, Any]
    screen: evaluators.ScreenOptions = evaluators.ScreenOptions()

    def plain(self) -> dict[str, Any]:
        """Return the file as plain JSON values, as the store keeps it."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain

    def recipe(self, settings: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Return everything that decides a score but subset and seed, as plain JSON values.

        Settings that came after release 0.3 count where they differ from the only way there was.

        Args:
            settings: settings of the base as they were resolved; they stand for the keys of
                `[base]` that may be left out.
        """
        plain = self.plain()
        base, evaluator = plain["base"], plain["evaluator"]

        if settings:
            base = {key: base[key] for key in _NEVER_RESOLVED} | {"settings": settings}

        unscored = evaluator_options(self.evaluator["name"]).unscored
        evaluator = {key: value for key, value in evaluator.items() if key not in unscored}
        if evaluator.get("phase") == "first":
            del evaluator["phase"]

        own = {"own_rhythm": True} if self.own_rhythm else {}
        return {"base": base, "evaluator": evaluator, **own}

    def recipe_hash(self, settings: Mapping[str, object] | None = None) -> str:
        """Return the SHA-256 of the recipe.

        Args:
            settings: settings of the base as they were resolved.
        """
        recipe = json.dumps(self.recipe(settings), sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()

    @property
    def own_rhythm(self) -> bool:
        """Whether a cut model may have another rhythm than the base."""
        return cadences.load(self.space.cadence).own_rhythm

    @property
    def transfer(self) -> bool:
        """Whether the sampler learns from trials of other depths."""
        return bool(self.sampler.get("transfer", False))

    def budget(self, depth: int) -> int:
        """Return the trial budget of `depth`."""
        trials = self.study.trials
        return trials[depth] if isinstance(trials, dict) else trials


def read_study_file(path: Path) -> StudyFile:
    """Read and check the study file at `path`.

    Raises:
        InputError: the file is missing or not TOML, or a key is unknown, missing or impossible;
            the message names the file, the key and the allowed values.
    """
    data = read_toml(path)
    try:
        return parse_study_file(data)
    except InputError as error:
        message = f"{path}: {error}"
        raise InputError(message) from error


def parse_study_file(data: Mapping[str, Any]) -> StudyFile:
    """Check the content of a study file, fresh from TOML or as the store keeps it.

    Raises:
        InputError: a key is unknown, missing or impossible.
    """
    for section in ("sampler", "evaluator"):
        if not isinstance(data.get(section, {}), dict):
            message = f"{section}: write a table, [{section}]"
            raise InputError(message)

    sampler = {"name": "gp"} | dict(data.get("sampler", {}))
    data = _with_prompts_of_base(data)
    evaluator = dict(data.get("evaluator", {}))
    complete = {
        "space": {},
        "base": None,
        **data,
        "sampler": {"name": sampler["name"], **_check_sampler(sampler)},
        "evaluator": {"name": evaluator.get("name"), **_check_evaluator(evaluator)},
    }
    file = validate(StudyFile, complete, "")
    _check_study(file.study)
    return file


def _with_prompts_of_base(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a file with its prompts in `[base]`; until release 0.4 `[evaluator]` had them."""
    evaluator, base = dict(data.get("evaluator", {})), data.get("base")
    if evaluator.get("name") != "retrieval" or not isinstance(base, dict):
        return data

    names = ("query_prompt", "document_prompt")
    prompts = {name: evaluator.pop(name) for name in names if name in evaluator}
    return {**data, "evaluator": evaluator, "base": {**prompts, **base}}


def _check_study(study: StudyOptions) -> None:
    """Refuse mistakes that types cannot: repeated depths, stray budgets, unreadable subsets."""
    if repeated := sorted({depth for depth in study.depths if study.depths.count(depth) > 1}):
        message = f"study.depths: depth {repeated[0]} appears twice"
        raise InputError(message)
    if isinstance(study.trials, dict) and set(study.trials) != set(study.depths):
        message = "study.trials: give one number for each of study.depths, and for no other depth"
        raise InputError(message)

    for entry in study.first:
        if entry in FAMILIES:
            continue
        try:
            depth = len(parse_subset(entry))
        except StoreInputError as error:
            message = f"study.first: {error}, or a family: {', '.join(FAMILIES)}"
            raise InputError(message) from error
        if depth not in study.depths:
            message = f"study.first: {entry} has none of the study's depths"
            raise InputError(message)


@cache  # building a record takes pydantic a look at every loaded module
def sampler_options(name: str) -> type[evaluators.StrictRecord]:
    """Return the record of the keys that a sampler takes under `[sampler]`.

    They are the annotated arguments of its class. Not among them are `space`, `seed` and `hints`,
    which the study fills in.

    Raises:
        InputError: there is no such sampler; the message lists the choices.
    """
    arguments = inspect.signature(samplers.load(name)).parameters.items()
    fields = {
        argument: (parameter.annotation, parameter.default)
        for argument, parameter in arguments
        if argument not in _FILLED_IN
    }
    # pydantic's overloads cannot see that the mapping holds only field definitions
    record: type[evaluators.StrictRecord] = create_model(  # type: ignore[call-overload]
        "SamplerOptions", __base__=evaluators.StrictRecord, **fields
    )
    return record


def evaluator_options(name: str) -> type[evaluators.EvaluatorOptions]:
    """Return the record of the keys that an evaluator takes under `[evaluator]`.

    Raises:
        InputError: there is no such evaluator; the message lists the choices.
    """
    options: type[evaluators.EvaluatorOptions] = plugins.load(evaluators, "evaluator", name).Options
    return options


def _check_sampler(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a sampler, defaults included, checked against its own signature."""
    record = sampler_options(_chosen_name(chosen, "sampler", samplers.names()))
    return _checked_options(record, chosen, "sampler.")


def _check_evaluator(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an evaluator, defaults included, checked against its own record."""
    record = evaluator_options(_chosen_name(chosen, "evaluator", plugins.names(evaluators)))
    return _checked_options(record, chosen, "evaluator.")


def _checked_options(
    record: type[evaluators.StrictRecord], chosen: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Return the keys of `chosen` but its name, checked against `record`, as plain values."""
    options = {key: value for key, value in chosen.items() if key != "name"}
    plain: dict[str, Any] = validate(record, options, prefix).model_dump(mode="json")
    return plain


def _chosen_name(chosen: Mapping[str, Any], section: str, choices: list[str]) -> str:
    """Return the name that a section chooses."""
    name = chosen.get("name")
    if not isinstance(name, str):
        message = f"{section}.name: name one of {', '.join(choices)}"
        raise InputError(message)
    return name
