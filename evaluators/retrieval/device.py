"""The device of this process, its memory, and libraries that should keep quiet."""

import gc
import logging
import os
import re
from functools import cache

import datasets
import torch
import transformers

from evaluators._errors import InputError

_INDEX = re.compile("[0-9]{1,4}")  # number of a GPU: no machine has ten thousand


def silence_libraries() -> None:
    """Turn the libraries' bars and chatter off: the search draws one bar for the whole trial."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)


@cache  # once hidden, the other devices are hidden from a second look too
def claim(name: str | None) -> str:
    """Make `name` the only accelerator this process sees, and return its torch name.

    The trainer uses every GPU it finds; a worker owns one, so all others are hidden.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`; None takes the best there is.

    Raises:
        InputError: the machine has no such device.
    """
    # by default this look starts the driver, which then never reads CUDA_VISIBLE_DEVICES again
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not _is_available(name):
        there = [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["no CUDA device"]
        message = f"no device {name!r} on this machine: it has cpu and {', '.join(there)}"
        raise InputError(message)

    kind, _, index = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_initialized():
        _hide_other_gpus(int(index or 0))
    return kind


def _is_available(name: str) -> bool:
    """Whether this machine has the device `name`."""
    kind, _, index = name.partition(":")
    if index and not _INDEX.fullmatch(index):
        return False

    if kind == "cuda":
        return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return name == "cpu"


def _hide_other_gpus(index: int) -> None:
    """Leave one GPU visible to this process, the `index`-th of its visible ones."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    choices = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    os.environ["CUDA_VISIBLE_DEVICES"] = choices[index]

    # cuBLAS is only deterministic with a fixed workspace, and reads this when it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def label(device: str) -> str:
    """Return the name of `device` for the store: the model of the GPU, or the kind."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device or the machine ran out of memory."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate" in str(error)
    )


def free_memory() -> None:
    """Return unused memory to the device; a trainer refers to itself, so collect garbage first."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
