"""Picks the device of this process, and says what ran out of memory."""

import gc
import os
from functools import cache

import torch

from evaluators.errors import InputError


@cache  # once hidden, the other devices are hidden from a second look too
def claim(name: str | None) -> str:
    """Make `name` the only accelerator this process sees, and return its torch name.

    The trainer spreads over every GPU it finds; a worker owns one, so the others are hidden.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`; None takes the best there is.

    Raises:
        InputError: the machine has no such device.
    """
    # by default this look starts the driver, which then never reads CUDA_VISIBLE_DEVICES again
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    available = {
        "cpu": name == "cpu",
        "cuda": torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(kind, False) or not (index == "" or index.isdigit()):
        there = [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["no CUDA device"]
        message = f"no device {name!r} on this machine: it has cpu and {', '.join(there)}"
        raise InputError(message)
    if kind == "cuda" and not torch.cuda.is_initialized():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        choices = (
            visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
        )
        os.environ["CUDA_VISIBLE_DEVICES"] = choices[int(index or 0)]
        # cuBLAS is only deterministic with a fixed workspace, and reads this when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return kind


def label(device: str) -> str:
    """What the store calls `device`: the name of the GPU, or the kind."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device or the machine ran out of memory."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate" in str(error)
    )


def free_memory() -> None:
    """Return what is no longer used to the device; a trainer refers to itself, so collect first."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
