"""Every number, text and list that enters has its bounds, and they are those of the store."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

import typer
from pydantic import BaseModel

import evaluators
from evaluators import _bounds
from search import plugins, samplers
from search.cli.app import app
from search.study.file import StudyFile, evaluator_options, sampler_options
from storage.values import bounds

RECORDS: dict[str, type[BaseModel]] = {
    "the study file": StudyFile,
    **{f"evaluator {name}": evaluator_options(name) for name in plugins.names(evaluators)},
    **{f"sampler {name}": sampler_options(name) for name in samplers.names()},
}
"""The records that check a study file, by their part of it."""

CHECKED_OTHERWISE = {"StudyOptions.name", "SpaceOptions.cadence", "HeldoutOptions.name"} | {
    "EvaluationOptions.name",
    "StudyOptions.first.items",  # each is parsed, and refused when it is no subset and no family
    "StudyFile.sampler",  # by the record of the sampler
    "StudyFile.evaluator",  # by the record of the evaluator
}
"""Keys whose values a function checks."""


def unbounded(schema: Any, place: str) -> Iterator[str]:
    """Yield the places of a JSON schema at which a value of any size would do."""
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, ()):
            yield from unbounded(one, place)

    limits = {
        "integer": (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
        "number": (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
        "string": (("maxLength", "enum", "const"),),
        "array": (("maxItems",),),
    }
    for names in limits.get(schema.get("type"), ()):
        if not any(name in schema for name in names):
            yield place
    if schema.get("type") == "array":
        yield from unbounded(schema["items"], f"{place}.items")
    if schema.get("type") == "object" and "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        if isinstance(inner, dict):
            yield from unbounded(inner, f"{place}.values")
        elif inner:
            yield place


def test_every_key_of_a_study_file_is_bounded() -> None:
    found = set()
    for record in RECORDS.values():
        schema = record.model_json_schema()
        for name, part in {**schema.get("$defs", {}), record.__name__: schema}.items():
            for key, values in part.get("properties", {}).items():
                found |= set(unbounded(values, f"{name}.{key}"))
    assert found == CHECKED_OTHERWISE


def test_a_value_without_a_bound_is_found() -> None:
    number = {"type": "integer", "minimum": 1}
    assert list(unbounded({"anyOf": [number, {"type": "null"}]}, "a")) == ["a"]
    assert list(unbounded({"type": "array", "items": number, "maxItems": 3}, "a")) == ["a.items"]
    assert list(unbounded({"type": "object", "additionalProperties": number}, "a")) == ["a.values"]
    assert not list(unbounded(number | {"exclusiveMaximum": 3}, "a"))


def options_with_numbers() -> list[tuple[str, Any]]:
    """Return every option of a command that takes a number, with its name."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    commands = {name: group.resolve_command(context, [name])[1] for name in group.commands}
    return [
        (f"{name} {option.opts[0]}", option)
        for name, command in commands.items()
        for option in command.params
        if option.type_descriptor.annotation in (int, float, list[int], list[float])
        or {int, float} & {*get_args(option.type_descriptor.annotation)}
    ]


def test_every_number_on_the_command_line_is_bounded() -> None:
    options = options_with_numbers()
    assert len(options) > 20
    assert "launch --trials" in dict(options)
    open_ended = [name for name, option in options if None in (option.min, option.max)]
    assert open_ended == []


def names_in(module: ModuleType) -> set[str]:
    """Return the names of a module's public constants."""
    return {name for name in vars(module) if name.isupper() and not name.startswith("_")}


def test_evaluators_know_the_bounds_of_the_store() -> None:
    """They import nothing of it, and read much that reaches it."""
    ours, theirs = names_in(bounds), names_in(_bounds)
    shared = ours & theirs
    assert shared == {"LARGEST_INTEGER", "LONGEST_KEY", "LONGEST_NAME", "MOST_LAYERS"}
    for name in shared:
        assert getattr(bounds, name) == getattr(_bounds, name)


def test_every_bound_says_how_it_was_chosen() -> None:
    for module in (bounds, _bounds):
        source = inspect.getsource(module)
        for name in names_in(module):
            _, _, after = source.partition(f"\n{name} = ")
            assert after.partition("\n")[2].startswith('"""'), name
