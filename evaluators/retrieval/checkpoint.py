"""Keeps trained weights until their trial's result is safe, so that a crash costs no training.

A checkpoint is a folder that appears under its name only when everything in it is on the disk. It
is a convenience: whatever goes wrong with it costs a warning, never the trial.
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

from evaluators._options import Options
from evaluators.retrieval import device

CHECKPOINT_SECONDS = 30.0
"""Shorter training is repeated rather than kept."""
KEEP_SECONDS = 7 * 24 * 3600.0
"""What nobody touched for so long belongs to a trial that nobody will resume."""

_WEIGHTS, _RECORD = "model.safetensors", "trained.json"
_TROUBLE = (OSError, SafetensorError, RuntimeError, ValueError, MemoryError)

log = logging.getLogger("layer-search")


class Trained(Options):
    """How the weights of a checkpoint came about."""

    seconds: float
    """What the training took."""
    notes: tuple[str, ...]
    """What the user should know of it."""
    sha256: str
    """Digest of the file of weights."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one recipe on this machine.

    Attributes:
        folder: where they are; None keeps nothing.
        recipe: everything that decides what is trained, except subset and seed.
    """

    folder: Path | None
    recipe: str

    @classmethod
    def within(cls, scratch: Path | None, recipe: Mapping[str, object]) -> "Checkpoints":
        """The checkpoints in `scratch`; old ones of any recipe are removed from there."""
        folder = scratch / "checkpoints" if scratch else None
        if folder is not None:
            _prune(folder)
        return cls(folder, json.dumps(recipe, sort_keys=True))

    def save(
        self,
        subset: tuple[int, ...],
        seed: int,
        model: torch.nn.Module,
        seconds: float,
        notes: tuple[str, ...],
    ) -> None:
        """Keep the weights of `model`, unless its training was short enough to be repeated."""
        if self.folder is None or seconds < CHECKPOINT_SECONDS:
            return
        name = self._name(subset, seed)
        unfinished = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.folder))
            # copies, because a file of safetensors has no place for weights that are one
            weights = {
                key: tensor.detach().to("cpu", copy=True).contiguous()
                for key, tensor in model.state_dict().items()
            }
            save_file(weights, unfinished / _WEIGHTS)
            trained = Trained(seconds=seconds, notes=notes, sha256=_sha256(unfinished / _WEIGHTS))
            (unfinished / _RECORD).write_text(trained.model_dump_json(), encoding="utf-8")
            for path in (unfinished / _WEIGHTS, unfinished / _RECORD, unfinished):
                _sync(path)
            unfinished.replace(self.folder / name)
            _sync(self.folder)
        except _TROUBLE as error:
            log.warning("cannot keep what was trained in %s: %s", self.folder, _first_line(error))
        finally:
            if unfinished is not None:
                shutil.rmtree(unfinished, ignore_errors=True)

    def load(self, subset: tuple[int, ...], seed: int, model: torch.nn.Module) -> Trained | None:
        """Load what was kept into `model`; None leaves it as it is: there is nothing to read."""
        if self.folder is None:
            return None
        place = self.folder / self._name(subset, seed)
        try:
            if not place.exists():
                return None
            trained = Trained.model_validate_json((place / _RECORD).read_bytes())
            if _sha256(place / _WEIGHTS) != trained.sha256:
                message = "the weights are not those that were written"
                raise ValueError(message)
            weights = load_file(place / _WEIGHTS)
            if _shapes(weights) != _shapes(model.state_dict()):
                message = "the weights are those of another model"
                raise ValueError(message)
            model.load_state_dict(weights, strict=True)
        except _TROUBLE as error:
            if device.is_out_of_memory(error):
                raise
            log.warning("trained again, for %s cannot be read: %s", place, _first_line(error))
            shutil.rmtree(place, ignore_errors=True)
            return None
        return trained

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove this trial's checkpoint, and what a killed process left half-written."""
        if self.folder is None:
            return
        name = self._name(subset, seed)
        with suppress(OSError):
            for path in (self.folder / name, *self.folder.glob(f".{name}-*")):
                shutil.rmtree(path, ignore_errors=True)

    def _name(self, subset: tuple[int, ...], seed: int) -> str:
        """Name of this trial's checkpoint."""
        return hashlib.sha256(json.dumps([self.recipe, subset, seed]).encode()).hexdigest()


def _prune(folder: Path) -> None:
    """Remove what is old in `folder`, finished or not."""
    with suppress(OSError):  # at first there is no such folder
        for path in list(folder.iterdir()):
            with suppress(OSError):  # other workers clean up too
                if time.time() - path.stat().st_mtime > KEEP_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until `path`, a file or a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
