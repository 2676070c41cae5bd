"""Any study file at all: exit code 2 and one clear line, never a traceback."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evaluators
from search import plugins, samplers
from search.errors import InputError
from search.study.file import (
    SpaceOptions,
    StudyOptions,
    evaluator_options,
    parse_study_file,
    sampler_options,
)
from tests.support.commands import read_error, run_command
from tests.support.study_files import FULL

pytestmark = pytest.mark.slow

PROPERTY = settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NAMES = st.sampled_from([*samplers.names(), *plugins.names(evaluators), "free", "periodic"])
SCALARS = st.one_of(
    st.integers(),
    st.integers(10**9, 10**4000),
    st.floats(),
    st.booleans(),
    st.text(max_size=30),
    NAMES,
    st.dates(),
    st.datetimes(),
    st.times(),
)
SECTIONS = ["study", "space", "base", "sampler", "evaluator", "screen", "train", "test", "heldout"]


def known_keys() -> list[str]:
    """Return the keys of all sections."""
    records: list[type[evaluators.StrictRecord]] = [
        evaluators.ScreenOptions,
        StudyOptions,
        SpaceOptions,
    ]
    records += [evaluator_options(name) for name in plugins.names(evaluators)]
    records += [sampler_options(name) for name in samplers.names()]
    keys = {key for record in records for key in record.model_fields}
    return sorted({"name", *evaluators.BaseOptions.model_fields, *keys, *SECTIONS})


KEYS = st.sampled_from(known_keys()) | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CONTENTS = st.dictionaries(st.sampled_from(SECTIONS) | KEYS, VALUES, max_size=7)


def to_toml(value: object) -> str:
    """Return a value as TOML writes it in one line."""
    if isinstance(value, dict):
        pairs = (f"{to_toml(key)} = {to_toml(inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return repr(value)


def assert_one_line(path: Path) -> None:
    """Give a study file to a command that reads it, and then finds no store: it has one line."""
    done = run_command("screen", path, "--show", "--store", f"sqlite:///{path.parent}/none.db")
    assert done.returncode == 2
    assert len(read_error(done)) < 5000


@PROPERTY
@given(contents=CONTENTS)
def test_random_tables_are_one_line(contents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    text = "\n".join(f"{to_toml(key)} = {to_toml(value)}" for key, value in contents.items())
    path.write_text(text, encoding="utf-8", newline="")
    assert_one_line(path)


@PROPERTY
@given(data=st.data())
def test_a_wrong_line_in_a_good_file_is_one_line(data: st.DataObject, tmp_path: Path) -> None:
    lines = FULL.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    key, equals, _ = lines[number].partition(" = ")
    value = to_toml(data.draw(VALUES))
    lines[number] = f"{key} = {value}" if equals else f"[{to_toml(data.draw(KEYS))}]"

    path = tmp_path / "study.toml"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert_one_line(path)


@PROPERTY
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_random_bytes_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    assert_one_line(path)


@PROPERTY
@given(contents=CONTENTS)
def test_random_contents_of_the_store_are_refused(contents: dict[str, Any]) -> None:
    """What a store keeps as a study file may be anything, too."""
    with pytest.raises(InputError) as caught:
        parse_study_file(contents)
    assert str(caught.value)
