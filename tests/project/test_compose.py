"""The compose file and the Dockerfile fit together, and to the command line."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer.main
import yaml

from search.cli import app

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CHECK = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")


def test_the_compose_file_follows_the_specification() -> None:
    done = subprocess.run(
        [*CHECK, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok -- validation done\n"


def test_the_schema_refuses_a_wrong_compose_file(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text("services: {worker: {comand: [work]}}\n", encoding="utf-8")
    done = subprocess.run([*CHECK, broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "comand" in done.stdout


def test_the_compose_file_starts_things_in_order() -> None:
    assert set(SERVICES) == {"postgres", "init", "worker", "worker-gpu", "dashboard"}
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    done = "service_completed_successfully"
    assert waits == {
        "postgres": {},
        "init": {"postgres": "service_healthy"},
        "worker": {"init": done},
        "worker-gpu": {"init": done},
        "dashboard": {"init": done},
    }
    assert SERVICES["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    scalable = SERVICES["worker"]
    assert "container_name" not in scalable
    assert "ports" not in scalable


def test_the_compose_file_runs_real_commands() -> None:
    ours = {name: service["command"] for name, service in SERVICES.items() if "command" in service}
    assert ours.pop("dashboard")[0] == "postgresql+psycopg://reader@postgres/search"
    assert ours == {
        "init": ["init", "--worker", "worker", "--reader", "reader", "--dedicated"],
        "worker": ["work"],
        "worker-gpu": ["work"],
    }
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {"init", "work"} <= set(commands)


def test_the_compose_file_listens_on_this_machine_only() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {
        "postgres": ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"],
        "dashboard": ["127.0.0.1:${DASHBOARD_PORT:-8080}:8080"],
    }


def test_each_service_is_given_its_own_passwords_as_files() -> None:
    files = COMPOSE["secrets"]
    assert files == {
        f"{role}_password": {"file": f"${{SECRETS:-./secrets}}/{role}"}
        for role in ("owner", "worker", "reader")
    }
    for name, service in SERVICES.items():
        given = {
            variable: value
            for variable, value in service["environment"].items()
            if "PASSWORD" in variable
        }
        assert given, name
        assert all(variable.endswith("_FILE") for variable in given)
        assert set(given.values()) == {f"/run/secrets/{secret}" for secret in service["secrets"]}
    assert re.findall(r"://[^\s/@]*:[^\s/@]*@", COMPOSE_TEXT) == []

    roles = {name: service["secrets"] for name, service in SERVICES.items() if name != "init"}
    assert roles == {
        "postgres": ["owner_password"],
        "worker": ["worker_password"],
        "worker-gpu": ["worker_password"],
        "dashboard": ["reader_password"],
    }
    users = {
        name: re.search(r"postgresql\S*://(\w+)@", str(service))
        for name, service in SERVICES.items()
    }
    assert {name: user and user[1] for name, user in users.items()} == {
        "postgres": None,
        "init": "search",
        "worker": "worker",
        "worker-gpu": "worker",
        "dashboard": "reader",
    }


def test_every_service_is_confined() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "/tmp" in service["tmpfs"]  # noqa: S108 - of the container
        assert re.fullmatch(r"\d+g|\$\{[A-Z]+_MEMORY:-\d+g\}", service["mem_limit"])
        assert 0 < service["pids_limit"] <= 1024
        assert service.get("privileged") is None
    assert SERVICES["postgres"]["user"] == "postgres"


def test_optional_variables_are_offered_with_their_defaults() -> None:
    offered = (ROOT / ".env.example").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE_TEXT))
    assert dict(re.findall(r"^# (\w+)=(.*)$", offered, re.MULTILINE)) == defaults
    assert re.findall(r"^\w+=", offered, re.MULTILINE) == []


def test_images_are_named_so_that_a_digest_can_stand_for_the_tag() -> None:
    named = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)
    defaults = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]*)\}", COMPOSE_TEXT))
    assert named == [defaults["PYTHON_IMAGE"]]
    for image in defaults.values():  # registry, repository and tag, none of them left to a default
        assert re.fullmatch(r"docker\.io/library/\w+:[\w.-]+", image)
    assert re.findall(r"^FROM (\S+) AS base$", DOCKERFILE, re.MULTILINE) == ["${PYTHON_IMAGE}"]


SECRETS = ROOT / "docker" / "with-secrets"


def test_entrypoint_hands_passwords_over(tmp_path: Path) -> None:
    word = "a b'\"$HOME`id`\\"
    (tmp_path / "word").write_text(f"{word}\n", encoding="utf-8")
    shown = "import os; print(os.environ['PGPASSWORD'], 'PGPASSWORD_FILE' in os.environ)"
    done = subprocess.run(
        [SECRETS, sys.executable, "-c", shown],
        env={"PGPASSWORD_FILE": str(tmp_path / "word"), "HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{word} False\n", "", 0)


def test_entrypoint_says_which_password_it_cannot_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [SECRETS, "true"],
        env={"LAYER_SEARCH_READER_PASSWORD_FILE": str(tmp_path / "none"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: user ")
    assert done.stderr.endswith(f"{tmp_path}/none, which LAYER_SEARCH_READER_PASSWORD_FILE names\n")


def test_the_compose_file_builds_stages_that_the_dockerfile_has() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    wanted = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert wanted == {"worker", "dashboard"}
    assert wanted < stages
    declared = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    given = {
        arg for service in SERVICES.values() for arg in service.get("build", {}).get("args", {})
    }
    assert given <= declared


def test_the_images_run_as_an_ordinary_user_on_pinned_versions() -> None:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE)
    for stage in re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[2:]:
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["1000"]
        assert stage.index("USER 1000") < stage.index("ENTRYPOINT")

    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 4
    assert installs.pop() == "--no-deps ."
    assert all("--constraint constraints.txt" in install for install in installs)
    assert text.count('ENTRYPOINT ["with-secrets", "layer-search"]') == 1


def test_the_build_context_holds_all_that_the_dockerfile_copies() -> None:
    lines = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
