"""Stand-ins, made of Debian packages, for base images of a registry that cannot be reached."""

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path

_PULL_SECONDS = 60  # after which a registry is taken to be out of reach
_SUITE = "bookworm"
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")

_PYTHON = "python3,python3-pip,ca-certificates,passwd"
_LIKE_THE_IMAGE = """
    ln -s /usr/bin/python3 "$1/usr/local/bin/python"
    rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED
"""

# What docker.io/library/postgres does with the same variables, without its other features.
_ENTRYPOINT = """#!/bin/sh
set -eu
export PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
export PGDATA="${PGDATA:-/var/lib/postgresql/18/docker}"
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
fi
user="${POSTGRES_USER:-postgres}"
database="${POSTGRES_DB:-$user}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    umask 077
    printf '%s' "${POSTGRES_PASSWORD:?is needed}" > "$PGDATA.password"
    initdb --username="$user" --pwfile="$PGDATA.password" --auth=trust --encoding=utf8
    rm "$PGDATA.password"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses=''" start
    [ "$database" = postgres ] || createdb --username="$user" "$database"
    pg_ctl -w -m fast stop
fi
exec postgres -c listen_addresses='*'
"""


def provide(image: str) -> bool:
    """Make sure that `image` is there: pulled if a registry has it, else made from Debian packages.

    Returns:
        Whether it is a stand-in.

    Raises:
        RuntimeError: it could not be made.
    """
    if _succeeds("podman", "image", "exists", image):
        labels = _output("podman", "image", "inspect", "--format", "{{json .Labels}}", image)
        return "stand-in" in (json.loads(labels) or {})
    if _succeeds("timeout", str(_PULL_SECONDS), "podman", "pull", "--quiet", image):
        return False

    name = image.rpartition("/")[2].partition(":")[0]
    makers = {"python": _make_python, "postgres": _make_postgres}
    if name not in makers:
        message = f"no registry serves {image}, and there is no stand-in for it"
        raise RuntimeError(message)
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        makers[name](image, Path(folder))
    return True


def _make_python(image: str, folder: Path) -> None:
    """Make an image with Debian's Python and pip."""
    tree = folder / "tree.tar"
    hook = folder / "hook.sh"
    hook.write_text(f"#!/bin/sh\nset -eu\n{_LIKE_THE_IMAGE}", encoding="utf-8")
    hook.chmod(0o755)
    _bootstrap(tree, _PYTHON, f"--customize-hook={hook}")
    _import(tree, image, "CMD python")


def _make_postgres(image: str, folder: Path) -> None:
    """Make an image with Debian's PostgreSQL, and an entrypoint that reads the same variables."""
    tree = folder / "tree.tar"
    entrypoint = folder / "entrypoint.sh"
    entrypoint.write_text(_ENTRYPOINT, encoding="utf-8")
    entrypoint.chmod(0o755)
    upload = f"--customize-hook=upload {entrypoint} /usr/local/bin/entrypoint.sh"
    owned = '--customize-hook=chmod 755 "$1/usr/local/bin/entrypoint.sh"'
    # of the cluster that the package makes; its folder stays, and belongs to its user
    empty = '--customize-hook=rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/*'
    _bootstrap(tree, "postgresql,passwd", upload, owned, empty)
    _import(
        tree,
        image,
        'ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]',
        "VOLUME /var/lib/postgresql",
        "STOPSIGNAL SIGINT",
        "ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin",
    )


def _bootstrap(tree: Path, packages: str, *options: str) -> None:
    """Write a Debian system with some packages as an archive, from the mirror of this machine."""
    sources = [str(_SOURCES)] if _SOURCES.exists() else []
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", *options]
    _run(*words, _SUITE, str(tree), *sources)


def _import(tree: Path, image: str, *changes: str) -> None:
    """Make an image of an archive, and label it a stand-in."""
    every = (*changes, "LABEL stand-in=debian")
    _run("podman", "import", "--quiet", *(f"--change={one}" for one in every), str(tree), image)


def pip_mounts(folder: Path) -> list[str]:
    """Return the arguments of `podman build` that let pip find packages as on this machine.

    Args:
        folder: where the settings that pip has here are written to.
    """
    settings: dict[str, str] = {}
    for line in _output(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", "install", ":env:"):
            settings[name] = str(ast.literal_eval(value))

    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    written = folder / "pip.conf"
    written.write_text(f"[global]\n{text}", encoding="utf-8")

    words = " ".join(settings.values()).split()
    paths = {Path(word.removeprefix("file://")) for word in words}
    # the parent of an index on this machine: its pages point to files beside it
    paths = {path.parent if path.name == "simple" else path for path in paths}
    there = sorted(str(path) for path in paths if path.is_absolute() and path.exists())
    mounts = [f"{path}:{path}:ro" for path in there]
    return [f"--volume={mount}" for mount in (f"{written}:/etc/pip.conf:ro", *mounts)]


def _succeeds(*words: str) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _output(*words: str) -> str:
    """Return what a command prints."""
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


def _run(*words: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: it failed; the message has the end of its output.
    """
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        message = f"{words[0]} failed: {done.stdout[-2000:]}"
        raise RuntimeError(message)
