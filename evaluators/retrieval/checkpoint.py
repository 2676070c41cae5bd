"""Trained weights, kept until their trial's result is safe, so that a crash costs no training.

A checkpoint is a folder that appears under its name only when everything in it is on the disk. It
is a convenience: if it cannot be written or read, that costs a warning, never the trial.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from evaluators._errors import first_line
from evaluators._options import StrictRecord
from evaluators.retrieval import device

CHECKPOINT_SECONDS = 30.0
"""Training that took less is repeated rather than kept. A heuristic: writing and syncing half a
gigabyte of weights takes seconds, which is worth it only where it saves much more."""
KEEP_SECONDS = 7 * 24 * 3600.0
"""A checkpoint that nobody touched for so long is removed. A heuristic: after a week off, a study
that somebody still wants has gone on, and weights of half a gigabyte each fill a disk."""

_WEIGHTS_FILE, _RECORD_FILE = "model.safetensors", "trained.json"
_TROUBLE = (OSError, SafetensorError, RuntimeError, ValueError, MemoryError)

log = logging.getLogger("layer-search")


class Training(StrictRecord):
    """How the weights of a checkpoint came about."""

    seconds: float
    """Wall time of the training."""
    notes: tuple[str, ...]
    """Remarks for the user on the training."""


class _Record(Training):
    """The file that a checkpoint keeps beside its weights."""

    sha256: str
    """Digest of the file of weights."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one recipe on this machine.

    Attributes:
        folder: where they are; None keeps nothing.
        recipe: everything that decides the trained weights, except subset and seed.
    """

    folder: Path | None
    recipe: str

    @classmethod
    def open(cls, scratch: Path | None, recipe: Mapping[str, object]) -> "Checkpoints":
        """Return the checkpoints of `recipe`; old ones of any recipe are removed from the disk.

        Args:
            scratch: folder of this machine for work that can be resumed; None keeps nothing.
            recipe: everything that decides the trained weights, except subset and seed.
        """
        folder = scratch / "checkpoints" if scratch else None
        if folder is not None:
            _remove_old(folder)
        return cls(folder, json.dumps(recipe, sort_keys=True))

    def save(
        self, subset: tuple[int, ...], seed: int, model: torch.nn.Module, training: Training
    ) -> None:
        """Keep the weights of `model`, unless its training was short enough to be repeated.

        Args:
            subset: source layers of the trial, ascending.
            seed: seed of the trial.
            model: the trained model.
            training: how it was trained.
        """
        if self.folder is None or training.seconds < CHECKPOINT_SECONDS:
            return

        name = self._name(subset, seed)
        unfinished = None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.folder))
            _write(unfinished, model, training)

            unfinished.replace(self.folder / name)
            _sync(self.folder)
        except _TROUBLE as error:
            log.warning("cannot keep what was trained in %s: %s", self.folder, first_line(error))
        finally:
            if unfinished is not None:
                shutil.rmtree(unfinished, ignore_errors=True)

    def load(self, subset: tuple[int, ...], seed: int, model: torch.nn.Module) -> Training | None:
        """Load the kept weights into `model`.

        Args:
            subset: source layers of the trial, ascending.
            seed: seed of the trial.
            model: the cut model.

        Returns:
            How the weights were trained; None when there are none that can be read, and then the
            model stays as it is.
        """
        if self.folder is None:
            return None

        place = self.folder / self._name(subset, seed)
        try:
            return _read(place, model) if place.exists() else None
        except _TROUBLE as error:
            if device.is_out_of_memory(error):
                raise
            log.warning("trained again, for %s cannot be read: %s", place, first_line(error))
            shutil.rmtree(place, ignore_errors=True)
            return None

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove this trial's checkpoint, and files that a killed process left half-written.

        Args:
            subset: source layers of the trial, ascending.
            seed: seed of the trial.
        """
        if self.folder is None:
            return

        name = self._name(subset, seed)
        with suppress(OSError):
            for path in (self.folder / name, *self.folder.glob(f".{name}-*")):
                shutil.rmtree(path, ignore_errors=True)

    def _name(self, subset: tuple[int, ...], seed: int) -> str:
        """Return the name of this trial's checkpoint."""
        return hashlib.sha256(json.dumps([self.recipe, subset, seed]).encode()).hexdigest()


def _write(folder: Path, model: torch.nn.Module, training: Training) -> None:
    """Write weights and record into `folder`, and wait until they are on the disk."""
    # copies, because a file of safetensors has no place for two names of one tensor
    weights = {
        key: tensor.detach().to("cpu", copy=True).contiguous()
        for key, tensor in model.state_dict().items()
    }
    save_file(weights, folder / _WEIGHTS_FILE)

    record = _Record(
        seconds=training.seconds, notes=training.notes, sha256=_sha256(folder / _WEIGHTS_FILE)
    )
    (folder / _RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")

    for path in (folder / _WEIGHTS_FILE, folder / _RECORD_FILE):
        with suppress(OSError):  # of a file system without rights
            path.chmod(0o600)  # the folder, made by mkdtemp, is for this user alone as well
        _sync(path)
    _sync(folder)


def _read(folder: Path, model: torch.nn.Module) -> Training:
    """Load the weights in `folder` into `model`.

    Raises:
        ValueError: the files are damaged or belong to another model; or any other of `_TROUBLE`.
    """
    record = _Record.model_validate_json((folder / _RECORD_FILE).read_bytes())
    if _sha256(folder / _WEIGHTS_FILE) != record.sha256:
        message = "the weights are not those that were written"
        raise ValueError(message)

    weights = load_file(folder / _WEIGHTS_FILE)
    if _shapes(weights) != _shapes(model.state_dict()):
        message = "the weights are those of another model"
        raise ValueError(message)

    model.load_state_dict(weights, strict=True)
    return record


def _remove_old(folder: Path) -> None:
    """Remove checkpoints older than `KEEP_SECONDS` from `folder`, finished or not."""
    with suppress(OSError):  # at first there is no such folder
        for path in list(folder.iterdir()):
            with suppress(OSError):  # other workers clean up too
                if time.time() - path.stat().st_mtime > KEEP_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Return shape and type of each tensor, by name."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until `path`, a file or a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
