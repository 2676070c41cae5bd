"""The documents: what every page has, links that lead somewhere, commands and figures that are."""

import csv
import importlib.util
import math
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

from search.cli import app
from tests.support.documents import (
    LINKED,
    MARKS,
    PAGES,
    ROOT,
    all_blocks,
    anchors,
    links,
    name_of,
    prose,
)
from tests.support.page_session import check_line, command_lines, parse_command, split_line

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LANGUAGES = {"ini", "sh", "python", "sql", "toml", "yaml", "json", "text", "math"}
GUIDES = [page for page in PAGES if page.name != "README.md"]


def load_script(name: str) -> ModuleType:
    """Import a script of the folder `docs`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# README.md


def test_readme_opens_with_one_sentence_and_the_two_commands() -> None:
    title, sentence, block = README.split("\n\n", 3)[:3]
    assert title == "# layer-search"
    assert sentence.count(".") == 1
    assert sentence.endswith(".")
    fence, *commands, end = block.splitlines()
    assert (fence, end) == ("```sh", "```")
    assert [command.split(" #")[0].strip() for command in commands] == [
        "make quickstart",
        "make test",
    ]


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 220


def test_readme_says_what_the_scores_say() -> None:
    scores: dict[str, list[float]] = defaultdict(list)
    with (ROOT / "benchmarks" / "minilm.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["depth"] == "3":
                scores[row["subset"]].append(float(row["mean"]))
    means = [mean(found) for found in scores.values()]

    words = " ".join(README.split())
    assert f"decides between {min(means):.2f} and {max(means):.2f}" in words
    assert f"of 22 layers there are {math.comb(22, 7):,} ways to keep 7" in words


# pages


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_page_says_for_whom_it_is(page: Path) -> None:
    title, empty, first = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ")
    assert (empty, first[0]) == ("", "*")


def test_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [name_of(page) for page in GUIDES if page not in listed] == []


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_headings_of_a_page_differ() -> None:
    for page in PAGES:
        headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
        assert len(headings) == len(set(headings)), name_of(page)


def test_blocks_are_of_a_known_kind() -> None:
    blocks = all_blocks()
    assert len(blocks) > 100
    assert [block.place for block in blocks if block.language not in LANGUAGES] == []


def test_blocks_that_are_not_run_say_why() -> None:
    reasons = {
        block.place: block.marks["not run"] for block in all_blocks() if "not run" in block.marks
    }
    assert len(reasons) > 10
    assert [place for place, reason in reasons.items() if not reason] == []


def test_remarks_to_the_tests_are_understood() -> None:
    """A misspelt one would leave a block unchecked."""
    known = re.compile(rf"<!-- (({'|'.join(MARKS)})(: .+)?|begin generated: .+|end generated) -->")
    comments = [
        comment
        for page in PAGES
        for comment in re.findall(r"<!--.*?-->", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert [comment for comment in comments if not known.fullmatch(comment)] == []


# commands


def ours() -> Iterator[list[str]]:
    """Yield the words of each command line of this project in the documents."""
    for block in all_blocks("sh"):
        for line in command_lines(block):
            _, words = split_line(line)
            if words[:1] == ["layer-search"]:
                yield words[1:]


def test_documents_name_every_command_and_no_other() -> None:
    named = {next(word for word in words if not word.startswith("-")) for words in ours()}
    for page in PAGES:
        named |= set(re.findall(r"`layer-search ([a-z]+)", page.read_text(encoding="utf-8")))
        named |= set(re.findall(r"worker ([a-z]+) /studies", page.read_text(encoding="utf-8")))
    assert named == set(COMMANDS)


def test_documents_use_options_that_the_commands_have() -> None:
    checked = 0
    for words in ours():
        parse_command(words)
        checked += sum(word.startswith("--") for word in words)
    assert checked > 8


@pytest.mark.parametrize(
    "line",
    [
        "layer-search launch --depht 3 study.toml",
        "layer-search lunch study.toml",
        "layer-search export minilm models/",
        "docker compose run --rm worker lunch /studies/mine.toml",
        "python benchmarks/ties.py --study 3",
        "python benchmarks/tie.py",
        "sbatch examples/slrum.sh",
    ],
)
def test_mistaken_lines_are_noticed(line: str) -> None:
    with pytest.raises((AssertionError, FileNotFoundError, TyperException)):
        check_line(line)


# generated parts


def test_generated_parts_are_fresh() -> None:
    generate = load_script("generate")
    for page in generate.PAGES:
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert text == generate.renewed(page), f"docs/{page}: run `python docs/generate.py`"


def test_a_changed_text_makes_a_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    generate = load_script("generate")
    page = "reference/study-file.md"
    parts = generate.PAGES[page]()
    changed = parts | {"base": parts["base"].replace("Longest query", "Longest question")}
    monkeypatch.setitem(generate.PAGES, page, lambda: changed)

    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert "Longest query" in text
    assert generate.renewed(page) == text.replace("Longest query", "Longest question")

    monkeypatch.setitem(generate.PAGES, page, lambda: {"base": parts["base"]})
    with pytest.raises(ValueError, match="has places for"):
        generate.renewed(page)


def test_the_picture_of_the_scores_is_fresh() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if f"matplotlib=={version('matplotlib')}\n" not in pins:
        pytest.skip("another release of matplotlib writes the same picture in other words")

    drawing = load_script("draw_depths")
    picture: str = drawing.PICTURE.read_text(encoding="utf-8")
    assert picture == drawing.draw(drawing.read_scores()), "run `python docs/draw_depths.py`"
    assert len(picture) < 100_000
    assert ">NDCG@10 after a short fine-tune</text>" in picture
    assert "prefers-color-scheme: dark" in picture
    assert "<dc:date>" not in picture


# other documents


def test_the_changelog_has_an_entry_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## .*", text, re.MULTILINE)
    assert newest is not None
    released = re.escape(PROJECT["project"]["version"])
    assert re.fullmatch(rf"## \[{released}\] - \d{{4}}-\d\d-\d\d", newest[0])


def test_the_licence_is_mit() -> None:
    lines = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["MIT License", "", "Copyright (c) 2026 the layer-search authors"]
    assert PROJECT["project"]["license"] == "MIT"


def test_documents_name_files_that_exist() -> None:
    named = {
        path
        for page in LINKED
        if page.name != "CHANGELOG.md"
        for path in re.findall(
            r"`((?:search|evaluators|storage|benchmarks|examples|docs|tests)/[\w/.]+)`",
            page.read_text(encoding="utf-8"),
        )
    }
    assert len(named) > 20
    templates = {path for path in named if re.search(r"NAME|WORD", path)}
    assert [path for path in named - templates if not (ROOT / path).exists()] == []
