"""Packaging keeps its word: pinned dependencies, the make targets, the wheel, nothing private."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"search", "evaluators", "storage"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(*command: object, folder: Path, **variables: str) -> str:
    """Run a command, which must succeed, and return its output."""
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


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    """A folder with the files that the make targets depend on."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(folder: Path, target: str) -> str:
    """Return the commands that `make` would run."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make")
    # what a surrounding `make test TESTS=...` hands down must not reach this one
    clean = {"MAKEFLAGS": "", "MAKELEVEL": "0", "PROCESSES": "2"}
    plan = ("env", "-u", "TESTS", make, "--no-print-directory", "--dry-run", target)
    return run(*plan, folder=folder, **clean)


def test_make_sets_the_environment_up_once(makefile: Path) -> None:
    first = planned(makefile, "test")
    assert first.index("-m venv") < first.index("--editable .") < first.index("--group dev")
    assert "--group dev" not in planned(makefile, "quickstart")

    (makefile / ".venv" / "bin").mkdir(parents=True)
    for stamp in (".runtime-installed", ".dev-installed"):
        (makefile / ".venv" / stamp).touch()
    assert planned(makefile, "quickstart") == ".venv/bin/layer-search quickstart\n"

    pytest_line = "-m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder"
    assert planned(makefile, "test").strip() == f".venv/bin/python {pytest_line}"
    measured = planned(makefile, "coverage").splitlines()
    assert f".venv/bin/coverage run {pytest_line}" in measured
    assert measured[-1] == ".venv/bin/coverage report"
    assert f"{pytest_line} -m 'not slow' --ignore" in planned(makefile, "test-fast")

    later = (makefile / ".venv" / ".dev-installed").stat().st_mtime + 10
    os.utime(makefile / "constraints.txt", (later, later))
    assert "--editable ." in planned(makefile, "quickstart")
    assert "--group dev" in planned(makefile, "test")


@pytest.mark.slow
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

    version = PROJECT["project"]["version"]
    top = {name.split("/")[0] for name in names}
    assert top == {*PACKAGES, f"layer_search-{version}.dist-info"}
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "storage/migrations/versions/0001_first.py" in sources
    assert {name for name in names if name.split("/")[0] in PACKAGES} == sources


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
