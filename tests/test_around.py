"""What lies around the code keeps its word: examples, documents, packaging, containers."""

import csv
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

import evaluators
from evaluators import retrieval, table
from search import cadences, samplers, studyfile
from search.cli import app
from search.space import LayerSpace
from search.studyfile import SpaceOptions, StudyOptions

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
COMMAND = Path(sys.executable).with_name("layer-search")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands


def run(*command: object, folder: Path, **variables: str) -> str:
    """What `command` prints; it must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(language: str) -> list[str]:
    """The code blocks of README.md in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def table_rows(first: str) -> list[list[str]]:
    """The cells of all rows of README.md's tables whose first column is headed `first`."""
    found = []
    for text in re.findall(rf"^\| {first} \|.*\n\|[ -|]*\n((?:\|.*\n)+)", README, re.MULTILINE):
        found += [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return found


def card_rows() -> list[dict[str, str]]:
    """The rows of card.csv."""
    with (EXAMPLES / "card.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def keys() -> Iterator[tuple[str, list[object]]]:
    """Every key of a study file, with its defaults: none when it is needed or has no value."""

    def fields(section: str, record: type[BaseModel]) -> Iterator[tuple[str, list[object]]]:
        for name, field in record.model_fields.items():
            if name in ("train", "test"):
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
    yield from fields("evaluator", table.Options)
    yield from fields("screen", evaluators.ScreenOptions)


# --- examples


def test_the_examples_are_study_files_named_after_their_study() -> None:
    read = {path.stem: studyfile.read(path) for path in EXAMPLES.glob("*.toml")}
    assert set(read) == {"card", "minilm", "mmbert-small"}
    assert {name: file.study.name for name, file in read.items()} == {name: name for name in read}


def test_the_reference_study_starts_with_the_26_subsets_of_the_card() -> None:
    file = studyfile.read(EXAMPLES / "mmbert-small.toml")
    pruned = [row["subset"] for row in card_rows() if row["depth"] != "22"]
    assert len(pruned) == 26
    assert len(file.study.first) == 26
    assert set(file.study.first) == set(pruned)
    for depth in file.study.depths:
        known = [subset for subset in pruned if subset.count("_") == depth - 1]
        assert file.budget(depth) > 2 * len(known)  # most of the budget is the sampler's


def test_the_reference_study_is_the_one_of_the_design() -> None:
    file = studyfile.read(EXAMPLES / "mmbert-small.toml")
    assert file.base is not None
    assert file.base.model == "jhu-clsp/mmBERT-small"
    assert file.base.precision == "bf16"
    assert file.study.depths == (4, 7, 13)
    assert (file.space.cadence, file.space.keep_first) == ("strict", True)
    assert file.evaluator["loss"] == "cached-multiple-negatives-ranking"
    train, test = file.evaluator["train"], file.evaluator["test"]
    data = "sentence-transformers/msmarco-co-condenser-margin-mse-sym-mnrl-mean-v1"
    assert (train["data"], train["config"]) == (data, "triplet-hard")
    columns = (train["anchor"], train["positive"], train["negatives"])
    assert columns == ("query", "positive", ["negative"])
    assert (test["data"], test["tasks"]) == ("sentence-transformers/NanoBEIR-en", [])
    rows = re.fullmatch(r"train\[:(\d+)\]", train["split"])
    assert rows is not None
    assert int(rows[1]) == file.evaluator["steps"] * file.evaluator["batch_size"]  # one pass


def test_the_small_study_fits_a_base_of_six_layers_without_a_rhythm() -> None:
    file = studyfile.read(EXAMPLES / "minilm.toml")
    assert file.base is not None
    assert file.base.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert (file.space.cadence, file.space.keep_first) == ("free", False)
    base = evaluators.Description("all-MiniLM-L6-v2", layers=6, period=None)
    counts = {depth: file.layer_space(depth, base).count for depth in file.study.depths}
    assert counts == {2: 15, 3: 20, 4: 15}
    assert all(file.budget(depth) <= count for depth, count in counts.items())


def test_the_reference_study_shows_every_key_of_its_evaluator() -> None:
    shown, section = set(), ""
    for line in (EXAMPLES / "mmbert-small.toml").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[([\w.]+)\]", line):
            section = heading[1]
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            shown.add(f"{section}.{key[1]}")
    other = {f"evaluator.{name}" for name in table.Options.model_fields}
    other |= {"sampler.multivariate", "sampler.explore"}
    assert shown == {key for key, _ in keys()} - other


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first tour of README.md was taken, command by command."""
    folder = tmp_path_factory.mktemp("tour")
    shutil.copytree(EXAMPLES, folder / "examples")
    (tour,) = (block for block in blocks("sh") if "launch examples/card.toml" in block)
    lines = tour.splitlines()
    assert len(lines) == 6
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "layer-search"
        assert run(COMMAND, *arguments, folder=folder).strip()
    return folder


def test_the_card_example_gives_the_table_of_the_card(toured: Path) -> None:
    rows = json.loads(run(COMMAND, "leaderboard", "card", "--json", folder=toured))
    scores = json.loads(run(COMMAND, "leaderboard", "card", "--by-task", "--json", folder=toured))
    expected = sorted(card_rows(), key=lambda row: (int(row["depth"]), -float(row["mean"])))
    found = [(str(row["depth"]), row["subset"], f"{row['mean']:.4f}") for row in rows]
    assert found == [(row["depth"], row["subset"], row["mean"]) for row in expected]
    ranks = {depth: [row["rank"] for row in rows if row["depth"] == depth] for depth in (4, 7, 13)}
    assert ranks == {4: [*range(1, 6)], 7: [*range(1, 12)], 13: [*range(1, 11)]}
    by_task = {(row["subset"], row["task"]): f"{row['score']:.4f}" for row in scores}
    tasks = [name for name in expected[0] if name.startswith("Nano")]
    assert len(tasks) == 13
    assert by_task == {(row["subset"], task): row[task] for row in expected for task in tasks}


def test_the_means_of_the_card_are_those_of_its_tasks() -> None:
    rows = card_rows()
    assert len(rows) == 27
    for row in rows:
        scores = [float(score) for name, score in row.items() if name.startswith("Nano")]
        # both are rounded to four decimals
        assert sum(scores) / 13 == pytest.approx(float(row["mean"]), abs=1e-4)


# --- README.md


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


def test_readme_names_every_command_and_no_other() -> None:
    named = set(re.findall(r"layer-search ([a-z]+)", " ".join(blocks("sh"))))
    named |= set(re.findall(r"`layer-search ([a-z]+)", README))
    named |= set(re.findall(r"`make (quickstart)|make (quickstart)", README)[0]) - {""}
    named |= set(re.findall(r"worker ([a-z]+) /studies", README))
    assert named == set(COMMANDS)


def test_readme_uses_options_that_the_commands_have() -> None:
    checked = 0
    for line in "\n".join(blocks("sh")).splitlines():
        call = re.match(r"layer-search (\w+)(.*)", line)
        if call is None:
            continue
        known = {option for part in COMMANDS[call[1]].params for option in part.opts}
        used = re.findall(r"(?<= )--[a-z-]+", call[2])
        assert set(used) <= known, line
        checked += len(used)
    assert checked > 8


def test_readme_queries_run(toured: Path) -> None:
    import sqlite3

    best, by_task, by_query = blocks("sql")
    with sqlite3.connect(toured / "layer-search.db") as store:
        rows = store.execute(best).fetchall()
        assert len(rows) == 3 + 3 + 3 + 1
        assert rows[0][:4] == (4, 1, "0_1_2_21", 0.4558)
        gaps = store.execute(by_task).fetchall()
        assert len(gaps) == 13
        assert sum(gap for _, gap in gaps) / 13 == pytest.approx(-0.0028, abs=5e-5)
        assert store.execute(by_query).fetchall() == []  # the table has no queries
    store.close()


def test_readme_lists_the_columns_of_the_views(toured: Path) -> None:
    import sqlite3

    store = sqlite3.connect(toured / "layer-search.db")
    listed = {row[0].strip("`"): row[2].strip("`").split(", ") for row in table_rows("view")}
    views = [name for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type='view'")]
    found = {
        view: [column[0] for column in store.execute(f"SELECT * FROM {view}").description]  # noqa: S608 - names of our views
        for view in views
    }
    store.close()
    assert listed == found


def test_readme_script_searches_its_space(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(script, "README.md", "exec"), names)  # noqa: S102 - our own document
    tried = [names["space"].decode_parameters(trial.params) for trial in names["study"].trials]
    assert len(set(tried)) == 40
    assert all(subset in names["space"] for subset in tried)
    best = max(tried, key=names["score"])
    assert capsys.readouterr().out == f"2478 subsets, best: {best}\n"


def test_readme_counts_the_spaces_exactly() -> None:
    listed = {row[0].strip("`"): list(map(int, row[1:])) for row in table_rows("rule")}
    counted = {
        name: [LayerSpace(22, depth, cadence=name).count for depth in (4, 7, 13)]
        for name in cadences.names()
    }
    assert listed == counted


def test_readme_lists_every_key_with_its_default() -> None:
    listed = {
        row[0].strip("`"): [
            tomllib.loads(f"value = {cell.strip('`')}")["value"]
            for cell in filter(None, row[1].split(", "))
        ]
        for row in table_rows("key")
    }
    assert listed == dict(keys())


def test_readme_lists_every_sampler_and_evaluator() -> None:
    assert [row[0].strip("`") for row in table_rows("sampler")] == samplers.names()
    assert all(f'evaluator.name = "{name}"' in README for name in evaluators.names())


# --- other documents


def test_the_changelog_has_an_entry_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(PROJECT["project"]["version"])
    newest = re.search(r"^## .*", text, re.MULTILINE)
    assert newest is not None
    assert re.fullmatch(rf"## \[{version}\] - \d{{4}}-\d\d-\d\d", newest[0])


def test_the_licence_is_mit() -> None:
    lines = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["MIT License", "", "Copyright (c) 2026 the layer-search authors"]
    assert PROJECT["project"]["license"] == "MIT"


def test_the_map_of_the_house_names_every_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    missing = []
    for package in ("search", "evaluators", "storage"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = path.relative_to(ROOT)
            if path.name == "__init__.py" or "versions" in module.parts:
                continue
            room = f"| `{module.parent}/`" in text and f"`{path.name}`" in text
            if f"| `{module}`" not in text and not room:
                missing.append(str(module))
    assert missing == []


def test_the_map_of_the_house_names_nothing_else() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/.]+)`", text, re.MULTILINE)
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_no_file_names_a_registry_a_machine_or_a_secret() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout to know which files belong to the project")
    listed = run(git, "ls-files", "--cached", "--others", "--exclude-standard", "-z", folder=ROOT)
    forbidden = re.compile(
        r"(?:pypi|pythonhosted|pytorch|npmjs|crates|conda|debian)[\w.-]*\.(?:org|com|io|net)\b"
        r"|(?<![\w.])/(?:wor[k]|roo[t])/"
        r"|\bhf_\w{20,}|\bgh[opsu]_\w{20,}|\bAKIA[0-9A-Z]{16}|\bsk-\w{20,}|-----BEGIN [A-Z ]+-----"
    )
    found = []
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
            found += [(name, match) for match in forbidden.findall(text)]
    assert found == []


# --- packaging


def test_every_dependency_is_pinned_to_a_version_in_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins)
    assert not any("+" in version for _, version in pins)  # such a build is one machine's own
    versions = {canonicalize_name(name): version for name, version in pins}
    assert len(versions) == len(pins)
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    wanted += PROJECT["build-system"]["requires"]
    for requirement in map(Requirement, wanted):
        version = versions[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, requirement


def test_continuous_integration_runs_all_checks_and_all_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make check test"


def test_make_sets_the_environment_up_once(tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def planned(target: str) -> str:
        plan = (make, "--no-print-directory", "--dry-run", target)
        # what a surrounding `make test TESTS=...` hands down must not reach this one
        return run(*plan, folder=tmp_path, MAKEFLAGS="", MAKELEVEL="0", TESTS="", PROCESSES="2")

    first = planned("test")
    assert first.index("-m venv") < first.index("--editable .") < first.index("--group dev")
    assert "--group dev" not in planned("quickstart")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for stamp in (".runtime-installed", ".dev-installed"):
        (tmp_path / ".venv" / stamp).touch()
    assert planned("quickstart") == ".venv/bin/layer-search quickstart\n"
    assert planned("test").strip() == ".venv/bin/pytest --numprocesses 2 --dist loadfile"
    later = (tmp_path / ".venv" / ".dev-installed").stat().st_mtime + 10
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert "--editable ." in planned("quickstart")
    assert "--group dev" in planned("test")


def test_the_wheel_holds_the_three_packages_and_nothing_else(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        pytest.skip("needs hatchling, the build backend")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", tmp_path, ROOT, folder=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert archive.read(points).decode().split() == [
            "[console_scripts]",
            "layer-search",
            "=",
            "search.cli:main",
        ]
    packages = {"search", "evaluators", "storage"}
    version = PROJECT["project"]["version"]
    top = {name.split("/")[0] for name in names}
    assert top == {*packages, f"layer_search-{version}.dist-info"}
    sources = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "storage/migrations/versions/0001_first.py" in sources
    assert {name for name in names if name.split("/")[0] in packages} == sources


# --- containers


def test_the_compose_file_follows_the_specification() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    check = (sys.executable, "-m", "check_jsonschema", *schema)
    assert run(*check, "docker-compose.yml", folder=ROOT) == "ok -- validation done\n"


def test_the_schema_refuses_a_wrong_compose_file(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text("services: {worker: {comand: [work]}}\n", encoding="utf-8")
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")
    done = subprocess.run([*check, broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "comand" in done.stdout


def test_the_compose_file_starts_things_in_order() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "init", "worker", "worker-gpu", "dashboard"}
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    done = "service_completed_successfully"
    assert waits == {
        "postgres": {},
        "init": {"postgres": "service_healthy"},
        "worker": {"init": done},
        "worker-gpu": {"init": done},
        "dashboard": {"init": done},
    }
    assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    scalable = services["worker"]
    assert "container_name" not in scalable
    assert "ports" not in scalable


def test_the_compose_file_runs_real_commands() -> None:
    services = COMPOSE["services"]
    ours = {name: service["command"] for name, service in services.items() if "command" in service}
    assert ours.pop("dashboard")[0] == "postgresql+psycopg://reader@postgres/search"
    assert ours == {
        "init": ["init", "--reader", "reader"],
        "worker": ["work"],
        "worker-gpu": ["work"],
    }
    assert {"init", "work"} <= set(COMMANDS)


def test_the_compose_file_listens_on_this_machine_only() -> None:
    services = COMPOSE["services"]
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {
        "postgres": ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"],
        "dashboard": ["127.0.0.1:${DASHBOARD_PORT:-8080}:8080"],
    }


def test_the_compose_file_takes_passwords_from_the_environment() -> None:
    given = [
        value
        for service in COMPOSE["services"].values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    ]
    assert len(given) == 6
    names = {re.fullmatch(r"\$\{([A-Z_]+):\?[^}]+\}", value)[1] for value in given}
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r"://[^\s/@]*:[^\s/@]*@", text) == []
    offered = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert dict(re.findall(r"^(\w+)=(.*)$", offered, re.MULTILINE)) == {
        "POSTGRES_PASSWORD": "CHANGE_ME",
        "READER_PASSWORD": "CHANGE_ME_TOO",
    }
    assert names == {"POSTGRES_PASSWORD", "READER_PASSWORD"}
    optional = set(re.findall(r"\$\{(\w+):-", text))
    assert optional == set(re.findall(r"^# (\w+)=", offered, re.MULTILINE))


def test_the_compose_file_builds_stages_that_the_dockerfile_has() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE))
    wanted = {s["build"]["target"] for s in COMPOSE["services"].values() if "build" in s}
    assert wanted == {"worker", "dashboard"}
    assert wanted < stages
    declared = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    assert set(COMPOSE["x-worker"]["build"]["args"]) <= declared


def test_the_images_run_as_an_ordinary_user_on_pinned_versions() -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for stage in re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[2:]:
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["1000"]
        assert stage.index("USER 1000") < stage.index("ENTRYPOINT")
    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 4
    assert installs.pop() == "--no-deps ."
    assert all("--constraint constraints.txt" in install for install in installs)
    assert text.count('ENTRYPOINT ["layer-search"]') == 1


def test_the_build_context_holds_all_that_the_dockerfile_copies() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
