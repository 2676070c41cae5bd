"""Loads the base, and never runs code that comes with it.

A study names its base, and a worker loads what the store says: so a base may bring weights and
settings, but neither Python files nor pickles.
"""

import os
from pathlib import Path

import torch
from sentence_transformers.base.modules import Transformer

from evaluators._options import BaseOptions
from evaluators.errors import InputError
from evaluators.retrieval import data

# settings of a base that would make the libraries fetch or run more than its own safetensors:
# `transformers_weights` may name a pickle, an attention may be a kernel compiled by a stranger
_IGNORED = {"transformers_weights": None, "_attn_implementation": None}


def load(base: BaseOptions, folder: Path) -> Transformer:
    """The base as a sentence-transformers module, fp32, on the CPU.

    Raises:
        InputError: it cannot be loaded, or only by running code of its own.
    """
    source = data.locate(base.model, folder, "base.model")
    where: dict[str, object] = {"trust_remote_code": False}
    if base.revision:
        where["revision"] = base.revision
    # or the library asks a bot on the hub to convert a pickle, and loads what the bot proposes
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        with torch.random.fork_rng(devices=[]):
            # what a checkpoint lacks (a pooler) is drawn at random: the same in every process
            torch.manual_seed(0)
            shell: Transformer = Transformer(
                source,
                model_kwargs={"dtype": torch.float32, "use_safetensors": True, **where},
                config_kwargs=_IGNORED | where,
                processor_kwargs=dict(where),
                query_length=base.query_length,
                document_length=base.document_length,
            )
    except Exception as error:  # the library raises whatever its parts raise
        raise InputError(_explain(base.model, source, error)) from error
    longest = getattr(shell.config, "max_position_embeddings", None)
    if longest is not None and longest < max(base.query_length, base.document_length):
        message = f"base.query_length and base.document_length go to {longest} with {base.model}"
        raise InputError(message)
    _forget_code(shell)
    return shell


def _explain(model: str, source: str, error: Exception) -> str:
    """One line on why `model` cannot be loaded."""
    text = str(error).strip()
    first = text.split("\n", 1)[0]
    if "trust_remote_code" in text:
        return (
            f"base.model {model} needs Python code of its own, which is never run: choose a base "
            "of an architecture that the library transformers comes with"
        )
    if isinstance(error, OSError) and "model.safetensors" in text:
        return (
            f"base.model {model} has no model.safetensors: weights must be safetensors, because "
            "other formats can run code; load the model where you trust it, and save it again "
            "with save_pretrained"
        )
    return f"cannot load base.model {model}{data.whence(source)}: {first}"


def _forget_code(shell: Transformer) -> None:
    """Drop references to the base's own classes: what is cut and exported is the stock model."""
    vars(shell.config).pop("auto_map", None)
    getattr(shell.tokenizer, "init_kwargs", {}).pop("auto_map", None)
