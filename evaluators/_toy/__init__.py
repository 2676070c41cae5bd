"""A tiny retrieval world and a tiny base, made on the spot for `layer-search quickstart`."""

from pathlib import Path

from evaluators._toy import words, world
from evaluators._types import Progress


def prepare(folder: Path, progress: Progress) -> None:
    """Write `folder/train.jsonl`, `folder/test` and the base `folder/base`, unless they are there.

    Args:
        folder: where to write; made if it does not exist.
        progress: called after every training step of the base.
    """
    if (folder / "base").is_dir():
        return

    from evaluators._toy import base  # noqa: PLC0415 - only the base needs torch

    folder.mkdir(parents=True, exist_ok=True)
    world.write(folder)
    base.write(folder / "base", words.vocabulary(), folder / "train.jsonl", progress)
