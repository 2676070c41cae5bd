"""The examples for clusters run as they stand, with stand-ins for what only a cluster has.

On a real Slurm and a real Ray they are run by `benchmarks/clusters.py`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
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
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")
# tells how it was called, a line for each call, and ends with the code that it is told; with WAIT
# it does so when it gets SIGTERM, and tells that, too
STUB = """#!{python} -IS
import json, os, signal, sys, time
def tell(words):
    with open(os.environ["CALLS"], "a") as file:
        row = [os.path.basename(sys.argv[0]), words, os.environ.get("LAYER_SEARCH_STORE")]
        print(json.dumps(row), file=file)
code = int(os.environ.get("CODE", "0"))
signal.signal(signal.SIGTERM, lambda *_: (tell(["SIGTERM"]), sys.exit(code)))
tell(sys.argv[1:])
if "WAIT" in os.environ and "work" in sys.argv:
    time.sleep(60)
sys.exit(code)
"""
RAY = """
def init(): pass
def nodes(): return NODES
def get(results): return list(results)
def remote(**options):
    assert options == {"max_retries": -1}
    def decorate(function):
        class Task:
            def options(self, **resources):
                print(resources)
                self.remote = function
                return self
        return Task()
    return decorate
"""
GPU_NODES = [
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}},
    {"Alive": False, "Resources": {"GPU": 4.0}},
]
CPU_NODES = [
    {"Alive": True, "Resources": {"CPU": 9.0}},
    {"Alive": True, "Resources": {"CPU": 3.0}},
    {"Alive": True, "Resources": {}},
]
Call = tuple[str, list[str], str | None]
"""Program, words and store of a call."""

Calls = Callable[[], list[Call]]
"""Type of the fixture `calls`."""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-ins for `layer-search` and `scontrol`, first on PATH; returns how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("layer-search", "scontrol"):
        stub = folder / name
        stub.write_text(STUB.format(python=sys.executable), encoding="utf-8")
        stub.chmod(0o755)

    log = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(log))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("LAYER_SEARCH_STORE", raising=False)

    def read() -> list[Call]:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [(name, words, store) for name, words, store in map(json.loads, lines)]

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


def wait_until(look: Callable[[], object]) -> None:
    """Wait until `look` returns something true."""
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# Slurm


@needs_bash
def test_slurm_script_has_no_mistakes(tmp_path: Path) -> None:
    done = run(BASH, "-n", EXAMPLES / "slurm.sh", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_bash
def test_slurm_task_is_a_worker(calls: Calls, tmp_path: Path) -> None:
    words = ["mine", "--folder", "/data/my study"]
    variables = {"LAYER_SEARCH_STORE": URL, "CODE": "3"}
    done = run(BASH, EXAMPLES / "slurm.sh", *words, folder=tmp_path, **variables)
    assert (done.returncode, done.stderr) == (3, "")
    assert calls() == [("layer-search", ["work", *words], URL)]


def signalled(number: int, calls: Calls, folder: Path, code: str) -> tuple[int, list[list[str]]]:
    """Exit code of a task whose shell is sent a signal, and the words of all calls."""
    variables = {"LAYER_SEARCH_STORE": URL, "CODE": code, "WAIT": "yes"}
    variables |= {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    script = [str(BASH), str(EXAMPLES / "slurm.sh"), "mine"]
    with subprocess.Popen(
        script, cwd=folder, env=os.environ | variables, start_new_session=True
    ) as task:
        wait_until(calls)
        if number == signal.SIGTERM:
            os.killpg(task.pid, number)  # as Slurm does: all processes of the task
        else:
            task.send_signal(number)
        return task.wait(60), [words for _, words, _ in calls()]


@needs_bash
def test_slurm_task_whose_time_is_nearly_up_comes_back(calls: Calls, tmp_path: Path) -> None:
    code, words = signalled(signal.SIGUSR1, calls, tmp_path, "130")
    assert words == [["work", "mine"], ["SIGTERM"], ["requeue", "7_3"]]
    assert code == 130


@needs_bash
def test_slurm_task_of_a_finished_study_does_not_come_back(calls: Calls, tmp_path: Path) -> None:
    code, words = signalled(signal.SIGUSR1, calls, tmp_path, "0")
    assert words == [["work", "mine"], ["SIGTERM"]]
    assert code == 0


@needs_bash
def test_slurm_task_that_is_cancelled_waits_for_its_worker(calls: Calls, tmp_path: Path) -> None:
    code, words = signalled(signal.SIGTERM, calls, tmp_path, "130")
    assert words == [["work", "mine"], ["SIGTERM"]]  # once
    assert code == 130


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


@pytest.mark.slow
def test_kubernetes_job_is_valid() -> None:
    """By the schemas of Kubernetes itself, as strictly as they are."""
    reason = "kubernetes-validate is not installed"
    validator = pytest.importorskip("kubernetes_validate", reason=reason)
    validator.validate(JOB, validator.latest_version(), strict=True)

    broken = {**JOB, "spec": {**JOB["spec"], "paralelism": 8}}
    with pytest.raises(validator.ValidationError, match="paralelism"):
        validator.validate(broken, validator.latest_version(), strict=True)


def test_kubernetes_pod_may_do_little() -> None:
    """What the strictest of the pod security standards asks for, and a root that is read-only."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert WORKER["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


# Ray


def ray_script(folder: Path, nodes: object) -> Path:
    """The job's script, beside a stand-in for Ray whose cluster has these nodes."""
    (folder / "ray.py").write_text(f"NODES = {nodes}\n{RAY}", encoding="utf-8")
    return Path(shutil.copy(EXAMPLES / "ray_job.py", folder))


@needs_setpriv
@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("1", 1), ("130", 1)])
def test_ray_job_starts_a_worker_on_each_gpu(
    calls: Calls, tmp_path: Path, code: str, expected: int
) -> None:
    words = ["mine", "--folder", "data"]
    variables = {"LAYER_SEARCH_STORE": URL, "CODE": code}
    script = ray_script(tmp_path, GPU_NODES)
    done = run(sys.executable, script, *words, folder=tmp_path, **variables)
    assert (done.returncode, done.stderr) == (expected, "")
    assert done.stdout.splitlines() == ["{'num_gpus': 1}"] * 3
    assert calls() == [("layer-search", ["work", *words], URL)] * 3


@needs_setpriv
def test_ray_job_on_a_cluster_without_gpus_takes_cpus(calls: Calls, tmp_path: Path) -> None:
    script = ray_script(tmp_path, CPU_NODES)
    done = run(sys.executable, script, "mine", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["{'num_cpus': 4}"] * 2)

    done = run(sys.executable, script, "--cpus", "3", "mine", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["{'num_cpus': 3}"] * 4)
    assert calls() == [("layer-search", ["work", "mine"], None)] * 6


@pytest.mark.parametrize(
    ("cpus", "code", "message"),
    [
        ("16", 1, "no node of this cluster has a GPU or 16 CPUs: see --cpus"),
        ("0", 2, "error: --cpus: give at least 1"),
    ],
)
def test_ray_job_without_room_for_a_worker_says_so(
    calls: Calls, tmp_path: Path, cpus: str, code: int, message: str
) -> None:
    script = ray_script(tmp_path, CPU_NODES)
    done = run(sys.executable, script, "--cpus", cpus, "mine", folder=tmp_path)
    assert (done.returncode, done.stderr.endswith(f"{message}\n")) == (code, True)
    assert calls() == []


@needs_setpriv
@pytest.mark.parametrize("victim", ["task", "its child"])
def test_ray_worker_that_is_left_behind_is_told(calls: Calls, tmp_path: Path, victim: str) -> None:
    """Ray kills a task, and its children, without a word when a node is lost or a job stopped."""
    script = ray_script(tmp_path, GPU_NODES[1:])
    with subprocess.Popen(
        [sys.executable, script, "mine"], cwd=tmp_path, env={**os.environ, "WAIT": "yes"}
    ) as task:
        wait_until(calls)
        process = psutil.Process(task.pid)
        (process if victim == "task" else process.children()[0]).kill()
    wait_until(lambda: len(calls()) > 1)
    assert [words for _, words, _ in calls()] == [["work", "mine"], ["SIGTERM"]]
