"""A page as a session: its blocks, run in order in one folder."""

import configparser
import json
import re
import shlex
import sqlite3
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import typer
import typer.main
import yaml

from evaluators._toy import world
from search.cli import app
from search.cli.commands import demo
from search.study.file import parse_study_file
from storage.setup import connect_store
from tests.support.commands import Done, run_command, start_command
from tests.support.documents import ROOT, Block
from tests.support.page_folder import STORE, shorten, shorten_command

POSTGRES = "postgresql://search@db.example/search"
"""The store on PostgreSQL, as the pages name it."""
_ELSEWHERE = (
    *("docker", "sbatch", "kubectl", "ray", "source", "pip", "optuna-dashboard"),
    *("cp", "mkdir", "chmod", "for"),
)
"""Programs whose blocks are marked as not run, and whose options are not ours to check."""

_WHOLE_STUDY: dict[str, Any] = {
    "study": {"name": "whole", "depths": [4], "trials": 1},
    "base": {"model": "base"},
    "evaluator": {"name": "retrieval", "steps": 0},
}


class PageSession:
    """Runs the blocks of one page.

    Args:
        folder: a prepared folder.
        postgres_url: URL of the database that stands for the one the pages name.
        quickstart: whether the page goes on with the results of the quickstart.
    """

    def __init__(self, folder: Path, postgres_url: str, *, quickstart: bool = False) -> None:
        self.folder = folder
        self.rows: list[list[tuple[Any, ...]]] = []
        """The rows that each block of SQL returned."""
        self._postgres_url = postgres_url
        self._quickstart = quickstart
        self._environment: dict[str, str] = {"LAYER_SEARCH_STORE": f"sqlite:///{STORE}"}
        self._names: dict[str, Any] = {"__name__": "page"}
        self._printed = ""
        self._before: dict[str, Callable[[Block], None]] = {
            "sh": self._run_lines,
            "python": self._run_python,
            "sql": self._run_sql,
            "toml": self._read_toml,
            "yaml": self._read_yaml,
            "json": self._read_json,
            "ini": lambda block: configparser.ConfigParser().read_string(block.text),
            "text": self._compare,
            "math": lambda _: None,
        }

    def run(self, block: Block) -> None:
        """Run a block, or check what can be checked of one that is not run."""
        if "not run" in block.marks:
            assert block.language == "sh", f"{block.place}: only commands may be left out"
            for line in command_lines(block):
                check_line(line)
            return

        if name := block.marks.get("file"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shorten(block.text), encoding="utf-8")
        self._before[block.language](block)

    # commands

    def _run_lines(self, block: Block) -> None:
        """Run each command line of a block."""
        self._printed = ""
        for line in command_lines(block):
            environment, words = split_line(line)
            self._printed += self._run_words(words, environment)

    def _run_words(self, words: list[str], environment: Mapping[str, str]) -> str:
        """Run one command line, and return its output."""
        if not words:
            self._environment |= {name: self._here(text) for name, text in environment.items()}
            return ""

        program, *arguments = words
        if program == "layer-search":
            return self._run_ours(arguments, environment)
        if program == "make":
            return self._make(*arguments)
        if program == "sqlite3":
            return self._ask_sqlite(*arguments)
        pytest.fail(f"no stand-in for {program}")

    def _run_ours(self, arguments: list[str], environment: Mapping[str, str]) -> str:
        """Run a command of this project; it must succeed."""
        here = {**self._environment, **environment}
        words = shorten_command([self._here(word) for word in arguments])
        # several workers are processes anyway
        run = run_alone if "--workers" in words else run_command
        done = run(*words, cwd=self.folder, **here)
        assert done.returncode == 0, f"{shlex.join(arguments)}: {done.stderr}"
        return done.stderr + done.stdout

    def _make(self, target: str) -> str:
        """Run the quickstart, much shortened, if the page needs it; other targets must exist."""
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
        if target != "quickstart" or not self._quickstart:
            return ""

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("evaluators._toy.base.STEPS", 1)
            patch.setattr(world, "QUERIES", 8)
            patch.setattr(world, "DOCUMENTS", 24)
            patch.setattr(demo, "STUDY", shorten(demo.STUDY))
            return self._run_ours(["quickstart"], {})

    def _ask_sqlite(self, file: str, query: str) -> str:
        """Run a query as the program `sqlite3` does, which must find something."""
        with closing(sqlite3.connect(self.folder / file)) as store:
            rows = store.execute(query).fetchall()
        assert rows, query
        return "".join("|".join(map(str, row)) + "\n" for row in rows)

    def _here(self, text: str) -> str:
        """Return a word of a command line with the database of the tests in it."""
        return self._postgres_url if text == POSTGRES else text

    # other languages

    def _run_python(self, block: Block) -> None:
        """Run a script, in the names of the scripts before it."""
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
            patch.chdir(self.folder)
            exec(compile(block.text, block.place, "exec"), self._names)  # noqa: S102 - our documents
        self._printed = out.getvalue()

    def _run_sql(self, block: Block) -> None:
        """Run a query on the store of the page."""
        on_postgres = block.marks.get("store") == "postgresql"
        url = self._environment["LAYER_SEARCH_STORE"]
        assert url.startswith("postgresql") == on_postgres, block.place
        self.rows.append(run_query(url, self.folder, block.text))

    def _read_toml(self, block: Block) -> None:
        """Check a study file, or a part of one."""
        data = tomllib.loads(block.text)
        if "part of a study file" in block.marks:
            data = _WHOLE_STUDY | data
        parse_study_file(data)

    def _read_yaml(self, block: Block) -> None:
        """Check front matter."""
        assert list(yaml.safe_load_all(block.text)), block.place

    def _read_json(self, block: Block) -> None:
        """Check JSON Lines."""
        assert all(map(json.loads, block.text.splitlines())), block.place

    def _compare(self, block: Block) -> None:
        """Check that the output shown is the output of the block before.

        Shortened output must hold each shown line. Output that depends on data or machine must hold
        the titles and headers shown.
        """
        shown, printed = map(_lines, (block.text, self._printed))
        if "output" in block.marks:
            shown, printed = _headings(block.text), _headings(self._printed)

        missing = [line for line in shown if line not in printed]
        assert missing == [], f"{block.place}: {missing} is not in {printed}"
        if not block.marks:
            assert printed[-len(shown) :] == shown, block.place


def command_lines(block: Block) -> list[str]:
    """Return the command lines of a block, continued ones as one."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def split_line(line: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables in front of a command line, or of `export`, and its words."""
    words = shlex.split(line, comments=True)
    if words[0] == "export":
        words = words[1:]
    environment: dict[str, str] = {}
    while words and (found := re.fullmatch(r"([A-Z_]+)=(.*)", words[0])):
        environment[found[1]] = found[2]
        words = words[1:]
    return environment, words


def check_line(line: str) -> None:
    """Check a command line that is not run: ours must parse, scripts must have the options."""
    _, words = split_line(line)
    if not words:
        return
    if words[0] == "layer-search":
        parse_command(words[1:])
    elif words[0] == "python":
        check_script(words[1], words[2:])
    elif words[:4] == ["docker", "compose", "run", "--rm"]:
        parse_command(words[5:])  # behind the name of the service
    else:
        assert words[0] in _ELSEWHERE, line
    for word in words:
        if word.startswith("examples/"):
            assert (ROOT / word).exists(), word


def parse_command(words: list[str]) -> None:
    """Parse a command line of this project without running it."""
    words = words[words[0] == "--debug" :]
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    name, command, arguments = group.resolve_command(context, words)
    command.make_context(name, arguments, parent=context)


def check_script(script: str, words: list[str]) -> None:
    """Check that a script exists, and knows the options that it is given."""
    text = (ROOT / script).read_text(encoding="utf-8")
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in text, f"{script} has no {option}"


def run_query(url: str, folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on the store at `url`, whose file is below `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        engine = connect_store(url)
        try:
            with engine.connect() as connection:
                rows = connection.execute(sqlalchemy.text(query)).all()
        finally:
            engine.dispose()
    return [tuple(row) for row in rows]


def run_alone(*words: str, cwd: Path, **environment: str) -> Done:
    """Run a command line in a process of its own."""
    with start_command(*words, cwd=cwd, **environment) as process:
        out, err = process.communicate(timeout=60)
    return Done(list(words), process.returncode, out, err)


def _lines(text: str) -> list[str]:
    """Return the lines of an output, without the spaces that only align."""
    return [line.rstrip() for line in text.splitlines()]


def _headings(text: str) -> list[str]:
    """Return the titles and the headers of the tables in an output, and its first words."""
    found = []
    for line in _lines(text):
        if line.startswith("┃"):
            found.append(" ".join(re.sub("┃", " ", line).split()))
        elif re.match(r"[A-Za-z]", line):
            found.append(re.sub(r"[\d.]+", "0", line).partition(",")[0])
    return found
