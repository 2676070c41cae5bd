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
        "init": ["init", "--reader", "reader"],
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


def test_the_compose_file_takes_passwords_from_the_environment() -> None:
    given = [
        value
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    ]
    assert len(given) == 6
    found = [re.fullmatch(r"\$\{([A-Z_]+):\?[^}]+\}", value) for value in given]
    names = {match[1] for match in found if match}
    assert all(found)
    assert names == {"POSTGRES_PASSWORD", "READER_PASSWORD"}
    assert re.findall(r"://[^\s/@]*:[^\s/@]*@", COMPOSE_TEXT) == []

    offered = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert dict(re.findall(r"^(\w+)=(.*)$", offered, re.MULTILINE)) == {
        "POSTGRES_PASSWORD": "CHANGE_ME",
        "READER_PASSWORD": "CHANGE_ME_TOO",
    }
    optional = set(re.findall(r"\$\{(\w+):-", COMPOSE_TEXT))
    assert optional == set(re.findall(r"^# (\w+)=", offered, re.MULTILINE))


def test_the_compose_file_builds_stages_that_the_dockerfile_has() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    wanted = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert wanted == {"worker", "dashboard"}
    assert wanted < stages
    declared = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    assert set(COMPOSE["x-worker"]["build"]["args"]) <= declared


def test_the_images_run_as_an_ordinary_user_on_pinned_versions() -> None:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE)
    for stage in re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[2:]:
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["1000"]
        assert stage.index("USER 1000") < stage.index("ENTRYPOINT")

    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 4
    assert installs.pop() == "--no-deps ."
    assert all("--constraint constraints.txt" in install for install in installs)
    assert text.count('ENTRYPOINT ["layer-search"]') == 1


def test_the_build_context_holds_all_that_the_dockerfile_copies() -> None:
    lines = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
