"""The examples for clusters run as they stand, with stand-ins for what only a cluster has."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from search.cli.app import _load
from tests.support.commands import Done, read_json, run_command

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BASH = shutil.which("bash")
JOB = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text(encoding="utf-8"))
POD = JOB["spec"]["template"]["spec"]
WORKER = POD["containers"][0]
URL = "postgresql://search@db.example/search"
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")
# tells how it was called, a line for each call, and ends with the code that it is told
STUB = """#!{python} -IS
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    print(json.dumps([sys.argv[1:], os.environ.get("LAYER_SEARCH_STORE"), os.getpid()]), file=file)
sys.exit(int(os.environ.get("CODE", "0")))
"""
RAY = """
def init(): pass
def cluster_resources(): return {"CPU": 8.0, "GPU": 3.0} if GPUS else {"CPU": 8.0}
def get(results): return list(results)
def remote(**options):
    assert options == {"num_gpus": 1, "max_retries": -1}
    def decorate(function):
        function.remote = function
        return function
    return decorate
"""
Calls = Callable[[], list[tuple[list[str], str | None, int]]]
"""Type of the fixture `calls`: returns words, store and process of each call."""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-in for `layer-search`, first on PATH; the function returns how it was called."""
    stub = tmp_path / "bin" / "layer-search"
    stub.parent.mkdir()
    stub.write_text(STUB.format(python=sys.executable), encoding="utf-8")
    stub.chmod(0o755)

    log = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(log))
    monkeypatch.setenv("PATH", f"{stub.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("LAYER_SEARCH_STORE", raising=False)

    def read() -> list[tuple[list[str], str | None, int]]:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [(words, store, process) for words, store, process in map(json.loads, lines)]

    return read


def run(*command: object, folder: Path, **variables: str) -> Done:
    """Run a command of the system, and return its end."""
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# Slurm


@needs_bash
def test_slurm_script_has_no_mistakes(tmp_path: Path) -> None:
    done = run(BASH, "-n", EXAMPLES / "slurm.sh", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_bash
def test_slurm_task_becomes_a_worker(calls: Calls, tmp_path: Path) -> None:
    words = ["mine", "--folder", "/data/my study"]
    variables = {"LAYER_SEARCH_STORE": URL, "CODE": "3"}
    with subprocess.Popen(
        [str(BASH), EXAMPLES / "slurm.sh", *words], cwd=tmp_path, env=os.environ | variables
    ) as task:
        assert task.wait(60) == 3
    # in the place of the shell, so that Slurm's signals reach it
    assert calls() == [(["work", *words], URL, task.pid)]


@needs_bash
def test_slurm_task_without_a_store_says_what_is_missing(calls: Calls, tmp_path: Path) -> None:
    done = run(BASH, EXAMPLES / "slurm.sh", "mine", folder=tmp_path)
    assert done.returncode != 0
    assert "LAYER_SEARCH_STORE: set it to the URL of the store" in done.stderr
    assert calls() == []


def test_slurm_directives_come_before_the_first_command() -> None:
    lines = (EXAMPLES / "slurm.sh").read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
    assert lines[0] == "#!/bin/bash"
    assert len(directives) > 5
    assert max(directives) < first  # Slurm reads no further

    pattern = r"#SBATCH --[a-z-]+(=\S+)?( +# .*)?"
    assert all(re.fullmatch(pattern, lines[number]) for number in directives)


# Kubernetes


def test_kubernetes_job_is_one() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    assert JOB["spec"]["parallelism"] == JOB["spec"]["completions"]
    assert POD["restartPolicy"] == "OnFailure"  # a Job takes this or Never
    assert WORKER["image"] == "layer-search"
    mounted = {mount["name"] for mount in WORKER["volumeMounts"]}
    assert mounted == {volume["name"] for volume in POD["volumes"]}


def test_kubernetes_pod_gets_the_store_and_its_password_from_a_secret() -> None:
    variables = {entry["name"]: entry for entry in WORKER["env"]}
    assert set(variables) == {"LAYER_SEARCH_STORE", "LAYER_SEARCH_STATE", "PGPASSWORD"}
    assert variables["LAYER_SEARCH_STORE"]["value"] == URL

    reference = variables["PGPASSWORD"]["valueFrom"]["secretKeyRef"]
    text = (EXAMPLES / "kubernetes.yaml").read_text(encoding="utf-8")
    create = f"create secret generic {reference['name']} --from-literal={reference['key']}="
    assert create in text
    state = variables["LAYER_SEARCH_STATE"]["value"]
    assert state in {mount["mountPath"] for mount in WORKER["volumeMounts"]}


@pytest.mark.slow
def test_kubernetes_pod_runs_a_command_that_exists(card_study: Path, tmp_path: Path) -> None:
    """The very words, on a small study of that name."""
    command, name, *options = WORKER["args"]
    known = {option for parameter in _load(command).params for option in parameter.opts}
    assert {word for word in options if word.startswith("--")} <= known

    text = card_study.read_text(encoding="utf-8").replace('name = "card"', f'name = "{name}"')
    card_study.write_text(text, encoding="utf-8")
    variables = {
        "LAYER_SEARCH_STORE": f"sqlite:///{tmp_path}/store.db",
        "LAYER_SEARCH_STATE": str(tmp_path / "state"),
    }
    launched = run_command("launch", card_study, "--depth", "4", cwd=tmp_path, **variables)
    assert launched.returncode == 0, launched.stderr
    done = run_command(*WORKER["args"], cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr

    rows = read_json(run_command("studies", "--json", cwd=tmp_path, **variables))
    assert {row["study"]: row["complete"] for row in rows if row["depth"] == 13} == {name: 10}


# Ray


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for Ray whose cluster has three GPUs."""
    module = tmp_path / "python" / "ray.py"
    module.parent.mkdir()
    module.write_text("GPUS = True\n" + RAY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    return module


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("1", 1), ("130", 1)])
def test_ray_job_starts_a_worker_on_each_gpu(
    calls: Calls, tmp_path: Path, code: str, expected: int
) -> None:
    words = ["mine", "--folder", "data"]
    variables = {"LAYER_SEARCH_STORE": URL, "CODE": code}
    script = EXAMPLES / "ray_job.py"
    done = run(sys.executable, script, *words, folder=tmp_path, **variables)
    assert (done.returncode, done.stderr) == (expected, "")
    assert [call[:2] for call in calls()] == [(["work", *words], URL)] * 3


def test_ray_job_on_a_cluster_without_gpus_says_so(calls: Calls, ray: Path, tmp_path: Path) -> None:
    ray.write_text("GPUS = False\n" + RAY, encoding="utf-8")
    done = run(sys.executable, EXAMPLES / "ray_job.py", "mine", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "this cluster has no GPU\n")
    assert calls() == []
