"""The loaded base, from which retrievers are cut; code that comes with it is never run.

A study names its base, and a worker loads the base that the store names: so a base may bring
weights and settings, but neither Python files nor pickles.
"""

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from evaluators._errors import InputError, first_line
from evaluators._options import BaseOptions
from evaluators.retrieval import data
from evaluators.retrieval.surgery import Encoder

# settings of a base that would make the libraries fetch or run more than its own safetensors:
# `transformers_weights` may name a pickle, an attention may be a kernel compiled by a stranger
_IGNORED = {"transformers_weights": None, "_attn_implementation": None}


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base in memory, from which any number of retrievers are cut.

    Attributes:
        options: the `[base]` section it was loaded by.
        encoder: its weights and configuration.
        shell: its tokenizer and settings; the model inside is replaced by the cut one.
        device: torch device that retrievers are put on.
    """

    options: BaseOptions
    encoder: Encoder
    shell: Transformer
    device: str

    @classmethod
    def load(cls, options: BaseOptions, folder: Path, device: str) -> "LoadedBase":
        """Load the base that `options` names.

        Args:
            options: model, revision and lengths.
            folder: folder that relative paths start from.
            device: torch device for the retrievers.

        Raises:
            InputError: it cannot be loaded, only by running code of its own, or not be cut.
        """
        shell = load_transformer(options, folder)
        return cls(options, Encoder.of(shell.model), shell, device)

    @property
    def bf16(self) -> bool:
        """Whether matrix products run in bfloat16."""
        return self.options.precision == "bf16"

    def cut(self, subset: tuple[int, ...]) -> tuple[SentenceTransformer, tuple[str, ...]]:
        """Build the untrained retriever that keeps only the layers in `subset`.

        Args:
            subset: source layers, ascending.

        Returns:
            The retriever, on the device, and notes on weights it could not keep.

        Raises:
            InputError: the base has no such layers.
        """
        model, notes = self.encoder.cut(subset)

        shell = copy.copy(self.shell)  # shares the tokenizer; the model is its own
        shell._modules = dict(shell._modules)  # noqa: SLF001 - a shallow copy shares this mapping
        shell.model = model

        pooling = Pooling(self.encoder.hidden_size, self.options.pooling)
        retriever = SentenceTransformer(
            modules=[shell, pooling], device=self.device, similarity_fn_name="cosine"
        )
        return retriever, notes

    def whole(self) -> SentenceTransformer:
        """Build the untrained retriever that keeps every layer."""
        retriever, _ = self.cut(tuple(range(self.encoder.layers)))
        return retriever


def load_transformer(options: BaseOptions, folder: Path) -> Transformer:
    """Load a base as a sentence-transformers module, fp32, on the CPU.

    Args:
        options: model, revision and lengths.
        folder: folder that relative paths start from.

    Raises:
        InputError: it cannot be loaded, or only by running code of its own.
    """
    source = data.locate(options.model, folder, "base.model")
    where: dict[str, object] = {"trust_remote_code": False}
    if options.revision:
        where["revision"] = options.revision

    # or the library asks a bot on the hub to convert a pickle, and loads the bot's proposal
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        with torch.random.fork_rng(devices=[]):
            # weights that a checkpoint lacks (a pooler) are drawn at random: the same in every
            # process
            torch.manual_seed(0)
            shell: Transformer = Transformer(
                source,
                model_kwargs={"dtype": torch.float32, "use_safetensors": True, **where},
                config_kwargs=_IGNORED | where,
                processor_kwargs=dict(where),
                query_length=options.query_length,
                document_length=options.document_length,
            )
    except Exception as error:  # the library raises whatever its parts raise
        raise InputError(_explain(options.model, source, error)) from error

    _check_lengths(shell, options)
    _forget_code(shell)
    return shell


def _explain(model: str, source: str, error: Exception) -> str:
    """Say in one line why `model` cannot be loaded, and how to mend it where that is known."""
    text = str(error).strip()
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

    return f"cannot load base.model {model}{data.hub_hint(source)}: {first_line(error)}"


def _check_lengths(shell: Transformer, options: BaseOptions) -> None:
    """Refuse texts that are longer than the base has positions for."""
    longest = getattr(shell.config, "max_position_embeddings", None)
    if longest is not None and longest < max(options.query_length, options.document_length):
        message = f"base.query_length and base.document_length go to {longest} with {options.model}"
        raise InputError(message)


def _forget_code(shell: Transformer) -> None:
    """Drop references to the base's own classes: cut and exported models are stock models."""
    vars(shell.config).pop("auto_map", None)
    getattr(shell.tokenizer, "init_kwargs", {}).pop("auto_map", None)
