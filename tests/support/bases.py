"""Spoiled copies of a base: with code of its own, or with other settings."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

MARKING = "from pathlib import Path\nPath({marker!r}).touch()\n"
"""Python code that leaves a file where it was run."""


def change_config(base: Path, changes: Mapping[str, object], name: str = "config.json") -> None:
    """Change settings in a configuration of the base in the folder `base`."""
    path = base / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}), encoding="utf-8")


def with_code(
    base: Path, folder: Path, changes: Mapping[str, object] | None = None
) -> tuple[Path, Path]:
    """Copy a base, and give the copy code of its own.

    Args:
        base: the base.
        folder: where the copy goes.
        changes: settings that differ in its configuration.

    Returns:
        The copy, and the file that its code would leave.
    """
    copy, marker = folder / "base", folder / "marker"
    shutil.copytree(base, copy)
    (copy / "stranger.py").write_text(MARKING.format(marker=str(marker)), encoding="utf-8")

    classes = {name: f"stranger.{name}" for name in ("AutoConfig", "AutoModel")}
    change_config(copy, {"auto_map": classes, **(changes or {})})
    tokenizers = {"AutoTokenizer": ["stranger.Slow", "stranger.Fast"]}
    change_config(copy, {"auto_map": tokenizers}, "tokenizer_config.json")
    return copy, marker
