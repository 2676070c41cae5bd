"""The reference says what the code says: keys, views, variables, words."""

import inspect
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel

import evaluators
from benchmarks import structure
from evaluators import retrieval, table
from search import plugins, samplers
from search.space import LayerSpace, cadences
from search.space.families import FAMILIES
from search.study.file import SpaceOptions, StudyOptions
from storage.schema import Table
from storage.states import AttemptOutcome, Origin, TrialState
from tests.support.documents import PAGES, ROOT, anchors, table_rows

REFERENCE = ROOT / "docs" / "reference"
GLOSSARY = ROOT / "docs" / "glossary.md"
WORDS = """
    subset key depth cadence rhythm period space recipe evaluator trial study budget origin repeat
    replicate claim lease token attempt set-aside outbox mirror standing leader answer pick tied
    hint screen supernet agreement fingerprint drift surrogate kernel component amplitude
    task-correlation pending fantasize base sampler store worker task score leaderboard family gap
    prefix-tree position cut fine-tune export hyperparameters noise length-scale knowledge-gradient
    expected-improvement posterior other-task mirrored test-set share held-out-set
"""
"""The words of the project, as anchors."""


def keys() -> Iterator[tuple[str, list[object]]]:
    """Every key of a study file, with its defaults: none when it is needed or has no value."""

    def fields(section: str, record: type[BaseModel]) -> Iterator[tuple[str, list[object]]]:
        for name, field in record.model_fields.items():
            if name in ("train", "test", "heldout"):
                continue
            value = list(field.default) if isinstance(field.default, tuple) else field.default
            missing = field.is_required() or value is None
            yield f"{section}.{name}", [] if missing else [value]

    yield from fields("study", StudyOptions)
    yield from fields("space", SpaceOptions)
    yield from fields("base", evaluators.BaseOptions)
    yield "sampler.name", ["gp"]
    options: dict[str, list[object]] = {}
    for name in samplers.names():
        for option in inspect.signature(samplers.load(name)).parameters.values():
            if option.name not in ("space", "seed", "hints"):
                options.setdefault(f"sampler.{option.name}", []).append(option.default)
    yield from options.items()
    yield "evaluator.name", []
    yield from fields("evaluator", retrieval.Options)
    yield from fields("evaluator.train", retrieval.TrainOptions)
    yield from fields("evaluator.test", retrieval.EvaluationOptions)
    yield from fields("evaluator.heldout", retrieval.HeldoutOptions)
    yield from fields("evaluator", table.Options)
    yield from fields("screen", evaluators.ScreenOptions)


def test_study_file_lists_every_key_with_its_default() -> None:
    listed: dict[str, list[object]] = {}
    for key, _, default, meaning in table_rows(REFERENCE / "study-file.md", "key"):
        assert meaning.endswith("."), key
        values = listed.setdefault(key.strip("`"), [])
        if default not in ("", "*needed*"):
            values.append(tomllib.loads(f"value = {default.strip('`')}")["value"])
    assert listed == dict(keys())


def test_reference_study_shows_every_key_of_its_evaluator() -> None:
    shown, section = set(), ""
    study = ROOT / "examples" / "mmbert-small.toml"
    for line in study.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"(?:# )?\[([\w.]+)\]", line):
            section = heading[1]
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            shown.add(f"{section}.{key[1]}")
    other = {f"evaluator.{name}" for name in table.Options.model_fields}
    other |= {"sampler.multivariate", "sampler.explore"}
    assert shown == {key for key, _ in keys()} - other


def test_every_sampler_and_evaluator_has_a_row_or_a_heading() -> None:
    guide = ROOT / "docs" / "how-to" / "pick-a-sampler.md"
    assert [row[0].strip("`") for row in table_rows(guide, "sampler")] == samplers.names()
    text = (REFERENCE / "study-file.md").read_text(encoding="utf-8")
    assert all(f'evaluator.name = "{name}"' in text for name in plugins.names(evaluators))
    assert set(samplers.names()) <= anchors(REFERENCE / "study-file.md")


def test_views_are_listed_with_their_columns(ready_file: Path) -> None:
    page = REFERENCE / "sql-views.md"
    sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    listed = {
        section.partition("\n")[0]: re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE)
        for section in sections
        if "| column |" in section
        for part in [section.partition("| outcome |")[0]]
    }

    with closing(sqlite3.connect(ready_file)) as store:
        names = store.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall()
        found = {
            view: [column[0] for column in store.execute(f"SELECT * FROM {view}").description]  # noqa: S608 - names of our views
            for (view,) in names
        }

    assert listed == found
    assert [re.findall(r"`(\w+)`", row[0])[0] for row in table_rows(page, "view")] == list(listed)
    named = set(re.findall(r"`(search_[a-z_]+)`", page.read_text(encoding="utf-8")))
    assert named == set(Table.metadata.tables)


def test_outcomes_states_and_origins_are_explained() -> None:
    rows = table_rows(REFERENCE / "sql-views.md", "outcome")
    assert [row[0].strip("`") for row in rows] == list(AttemptOutcome)
    text = GLOSSARY.read_text(encoding="utf-8")
    assert all(f"`{value}`" in text for value in (*TrialState, *Origin))
    assert all(f"`{family}`" in text for family in FAMILIES)


def test_spaces_are_counted_exactly() -> None:
    page = ROOT / "docs" / "explanation" / "cadence.md"
    listed = {row[0].strip("`"): list(map(int, row[1:])) for row in table_rows(page, "rule")}
    counted = {
        name: [LayerSpace(22, depth, cadence=name).count for depth in (4, 7, 13)]
        for name in cadences.names()
    }
    assert listed == counted


def test_variables_are_those_of_the_code() -> None:
    used = {
        name
        for path in structure.sources(ROOT)
        for name in re.findall(r"LAYER_SEARCH_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    rows = table_rows(REFERENCE / "environment.md", "variable")
    listed = {row[0].strip("`") for row in rows if row[0].startswith("`LAYER_SEARCH")}
    assert listed == used


def test_members_of_a_space_are_listed() -> None:
    text = (REFERENCE / "python.md").read_text(encoding="utf-8")
    members = [name for name in dir(LayerSpace(2, 1)) if not name.startswith("_")]
    assert [name for name in members if not re.search(rf"`{name}[`(]", text)] == []


def test_glossary_has_every_word_once() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    terms = re.findall(r"^### (.+)$", text, flags=re.MULTILINE)
    assert len(terms) == len(set(terms))
    assert set(WORDS.split()) <= {term.replace(" ", "-") for term in terms}
    entries = re.split(r"^###? .+$", text, flags=re.MULTILINE)[1:]
    assert all(entry.strip() for entry in entries[1:] if not entry.isspace())


def test_documents_speak_the_words_of_the_glossary() -> None:
    """Words that once meant standard things here."""
    old = re.compile(
        r"\b(house|rooms?|kinship|relatives|imagin\w+|untold|adopt\w*)\b",
        flags=re.IGNORECASE,
    )
    found = [
        (page.name, match[0])
        for page in PAGES
        for match in old.finditer(page.read_text(encoding="utf-8"))
    ]
    assert found == []
