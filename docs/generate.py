"""Writes the generated parts of the reference: the keys of a study file, and the commands.

    python docs/generate.py            # write them anew
    python docs/generate.py --check    # fail when a page is stale

The keys come from the records that check a study file, the commands from the command line itself:
names, types, limits, defaults and texts stand there once. A part lies between two comments in its
page, `<!-- begin generated: NAME -->` and `<!-- end generated -->`; the rest of the page is written
by hand.
"""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
import typer.main
from pydantic import BaseModel

import evaluators
from search import plugins, samplers
from search.cli import app
from search.study.file import (
    SpaceOptions,
    StudyOptions,
    evaluator_options,
    parse_study_file,
    sampler_options,
)
from storage.values.bounds import LARGEST_INTEGER

DOCS = Path(__file__).resolve().parent

Row = tuple[str, str, str, str]
"""Cells of one row: name, values, default, meaning."""

_NESTED = {"train", "test", "heldout"}
"""Keys that are sections of their own."""

_KINDS = {"integer": "integer", "number": "number", "string": "text"}
_NULL = {"type": "null"}
_SMALLEST_STUDY = {
    "study": {"name": "x", "depths": [1], "trials": 1},
    "evaluator": {"name": "table", "path": "x.csv", "layers": 1},
}


# the keys of a study file


def key_tables() -> dict[str, str]:
    """Return the table of keys of each section of a study file, by the name of the part."""
    retrieval = evaluator_options("retrieval").model_fields
    records: dict[str, tuple[str, type[BaseModel]]] = {
        "study": ("study", StudyOptions),
        "space": ("space", SpaceOptions),
        "base": ("base", evaluators.BaseOptions),
        "retrieval": ("evaluator", evaluator_options("retrieval")),
        "train": ("evaluator.train", _record_of(retrieval["train"].annotation)),
        "test": ("evaluator.test", _record_of(retrieval["test"].annotation)),
        "heldout": ("evaluator.heldout", _record_of(retrieval["heldout"].annotation)),
        "table": ("evaluator", evaluator_options("table")),
        "screen": ("screen", evaluators.ScreenOptions),
    }
    tables = {
        part: key_table(describe_keys(section, record))
        for part, (section, record) in records.items()
    }
    tables["evaluator name"] = key_table([_name_row("evaluator", plugins.names(evaluators))])
    default = parse_study_file(_SMALLEST_STUDY).sampler["name"]
    tables["sampler name"] = key_table([_name_row("sampler", samplers.names(), default)])
    return tables | {name: _sampler_keys(name) for name in samplers.names()}


def key_table(rows: list[Row]) -> str:
    """Return a table of keys."""
    return markdown_table(("key", "value", "default", "meaning"), rows)


def describe_keys(section: str, record: type[BaseModel]) -> list[Row]:
    """Return a row for each key of one section.

    Args:
        section: name of the section, such as `evaluator.train`.
        record: the pydantic model that checks it.
    """
    schema = record.model_json_schema()
    return [
        (
            f"`{section}.{name}`",
            describe_value(values),
            describe_default(name in schema.get("required", ()), values.get("default")),
            record.model_fields[name].description or "",
        )
        for name, values in schema["properties"].items()
        if name not in _NESTED
    ]


def describe_value(schema: Mapping[str, Any]) -> str:
    """Return the values that a key takes, from their JSON schema."""
    if forms := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(describe_value(one) for one in forms if one != _NULL)
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return " or ".join(f"`{json.dumps(choice)}`" for choice in choices)

    kind = schema["type"]
    if kind == "boolean":
        return "`true` or `false`"
    if kind == "array":
        return f"list of {describe_value(schema['items'])}"
    if kind == "object":
        return f"table with {describe_value(schema['additionalProperties'])} for each depth"
    return _describe_range(_KINDS[kind], schema)


def _describe_range(kind: str, schema: Mapping[str, Any]) -> str:
    """Return a kind of number with its limits."""
    signs = (
        ("minimum", ">="),
        ("exclusiveMinimum", ">"),
        ("maximum", "<="),
        ("exclusiveMaximum", "<"),
    )
    limits = [
        f"{sign} {_whole(schema[name])}"
        for name, sign in signs
        if schema.get(name) not in (None, LARGEST_INTEGER)  # of every integer, said once
    ]
    return " ".join([kind, ", ".join(limits)]).strip()


def _whole(number: float) -> float:
    """Return a number without a decimal point where it is an integer."""
    return int(number) if number == int(number) else number


def describe_default(is_required: bool, value: object) -> str:  # noqa: FBT001 - reads well where it is used
    """Return the default of a key as TOML, or a word where it has none."""
    if is_required:
        return "*needed*"
    return "" if value is None else f"`{json.dumps(value)}`"


def _record_of(annotation: object) -> type[BaseModel]:
    """Return the record in an annotation that may also allow None."""
    for choice in (annotation, *get_args(annotation)):
        if inspect.isclass(choice) and issubclass(choice, BaseModel):
            return choice
    raise TypeError(annotation)


def _sampler_keys(name: str) -> str:
    """Return the first line on a sampler, and the table of the keys it takes."""
    sampler = samplers.load(name)
    texts = documented_arguments(sampler)
    rows = [
        (key, value, default, _sentence(texts[key.strip("`").partition(".")[2]]))
        for key, value, default, _ in describe_keys("sampler", sampler_options(name))
    ]
    summary = first_line(inspect.getdoc(sampler) or "")
    return f"{summary}\n\n{key_table(rows)}" if rows else f"{summary} It takes no keys."


def _name_row(section: str, names: list[str], default: str | None = None) -> Row:
    """Return the row for the key that chooses one of several parts by name."""
    choices = " or ".join(f"`{json.dumps(name)}`" for name in names)
    shown = describe_default(default is None, default)
    return (f"`{section}.name`", choices, shown, f"Name of the {section}.")


def _sentence(text: str) -> str:
    """Return a text with a capital letter in front."""
    return text[:1].upper() + text[1:]


def documented_arguments(documented: type[object]) -> dict[str, str]:
    """Return the text of each argument under "Args:" of a class's docstring."""
    _, _, arguments = (inspect.getdoc(documented) or "").partition("\nArgs:\n")
    arguments = re.split(r"\n\n|\n\S", arguments)[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


# the commands


def command_sections() -> dict[str, str]:
    """Return the list of all commands and a section for each, by the name of the part."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    commands = {name: group.resolve_command(context, [name])[1] for name in group.commands}

    listed = [
        (f"[`{name}`](#{name})", first_line(command.help)) for name, command in commands.items()
    ]
    sections = [describe_command(name, command) for name, command in commands.items()]
    shared = markdown_table(
        ("option", "meaning"), [(f"`{one.opts[0]}`", one.help) for one in group.params]
    )
    return {
        "commands": markdown_table(("command", "summary"), listed),
        "global options": shared,
        "sections": "\n\n".join(sections),
    }


def describe_command(name: str, command: Any) -> str:
    """Return the section on one command."""
    parameters = list(command.params)
    arguments = [one for one in parameters if not one.opts[0].startswith("-")]
    options = [one for one in parameters if one not in arguments]
    usage = " ".join(["layer-search", name, *map(_metavar, arguments), "[OPTIONS]"])

    parts = [f"## {name}", command.help.strip(), f"`{usage}`"]
    if arguments:
        rows = [(f"`{_metavar(one)}`", _default_of(one), one.help) for one in arguments]
        parts.append(markdown_table(("argument", "default", "meaning"), rows))
    if options:
        rows_of_options = [
            (_names(one), _values(one), _default_of(one), _meaning(one)) for one in options
        ]
        parts.append(markdown_table(("option", "value", "default", "meaning"), rows_of_options))

    example = command.epilog.removeprefix("Example: ")
    parts.append(
        f"<!-- not run: the guides run it, with files and a store -->\n```sh\n{example}\n```"
    )
    return "\n\n".join(parts)


def first_line(text: str) -> str:
    """Return the first line of a text."""
    return text.partition("\n")[0]


def _metavar(argument: Any) -> str:
    """Return the name of an argument as usage lines write it."""
    return str(argument.metavar or argument.name.upper())


def _names(option: Any) -> str:
    """Return all names of an option."""
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def _values(option: Any) -> str:
    """Return the values that an option takes, in words."""
    if option.is_flag:
        return ""
    if option.metavar:
        return f"`{option.metavar}`"

    annotation = option.type_descriptor.annotation
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if annotation in (int, list[int], float):
        low, high = getattr(option, "min", None), getattr(option, "max", None)
        kind = "number" if annotation is float else "integer"
        return _describe_range(kind, {"minimum": low, "maximum": high})
    return "path" if annotation is Path else "text"


def _default_of(parameter: Any) -> str:
    """Return the default of an argument or an option."""
    if parameter.required:
        return "*needed*"
    default = parameter.default
    if isinstance(default, bool) and parameter.secondary_opts:
        return _names(parameter).split(", ")[not default]
    return "" if default is None or default is False else f"`{default}`"


def _meaning(option: Any) -> str:
    """Return the help of an option, with the variable that sets it, too."""
    return f"{option.help} Variable: `{option.envvar}`." if option.envvar else str(option.help)


# pages


def markdown_table(header: tuple[str, ...], rows: Iterator[Any] | list[Any]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


PAGES: dict[str, Callable[[], dict[str, str]]] = {
    "reference/study-file.md": key_tables,
    "reference/commands.md": command_sections,
}
"""The pages with generated parts, and the function that makes these."""


def renewed(page: str) -> str:
    """Return the text of a page with its generated parts made anew.

    Raises:
        ValueError: a part has no place in the page, or a place no part.
    """
    parts = PAGES[page]()
    text = (DOCS / page).read_text(encoding="utf-8")
    places = re.findall(r"<!-- begin generated: (.+) -->", text)
    if sorted(places) != sorted(parts):
        message = f"{page} has places for {sorted(places)}, and the parts are {sorted(parts)}"
        raise ValueError(message)

    def fill(place: re.Match[str]) -> str:
        return f"{place[1]}\n\n{parts[place[2]]}\n\n{place[3]}"

    pattern = r"(<!-- begin generated: (.+) -->)\n(?:.*\n)*?(<!-- end generated -->)"
    return re.sub(pattern, fill, text)


def main() -> int:
    """Write the pages, or name the stale ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when stale")
    check = parser.parse_args().check

    stale = [page for page in PAGES if renewed(page) != (DOCS / page).read_text(encoding="utf-8")]
    for page in stale:
        if check:
            sys.stderr.write(f"docs/{page} is stale: run `python docs/generate.py`\n")
        else:
            (DOCS / page).write_text(renewed(page), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
