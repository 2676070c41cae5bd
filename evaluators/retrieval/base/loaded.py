"""The loaded base, from which retrievers are cut; code that comes with it is never run."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from evaluators._errors import InputError, first_line
from evaluators._options import BaseOptions
from evaluators.retrieval import data
from evaluators.retrieval.base.files import BaseFiles
from evaluators.retrieval.base.settings import Heads, Settings, describe, resolve
from evaluators.retrieval.surgery import Encoder, require_cuttable
from evaluators.retrieval.surgery.encoder import fingerprint

# settings of a base that would make the libraries fetch or run more than its own safetensors:
# `transformers_weights` may name a pickle, an attention may be a kernel compiled by a stranger
_IGNORED = {"transformers_weights": None, "_attn_implementation": None}


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base in memory, from which any number of retrievers are cut.

    Attributes:
        options: the `[base]` section it was loaded by.
        encoder: its weights and configuration.
        shell: its tokenizer and lengths; the model inside is replaced by the cut one.
        heads: everything behind the encoder.
        device: torch device that retrievers are put on.
    """

    options: BaseOptions
    encoder: Encoder
    shell: Transformer
    heads: Heads
    device: str

    @classmethod
    def load(
        cls, options: BaseOptions, folder: Path, device: str, *, own_rhythm: bool = False
    ) -> "LoadedBase":
        """Load the base that `options` names, and prove that it can be cut.

        Args:
            options: model, revision, and settings other than its own.
            folder: folder that relative paths start from.
            device: torch device for the retrievers.
            own_rhythm: whether kept layers whose types form a rhythm keep it.

        Raises:
            InputError: it cannot be loaded, only by running code of its own, or not be cut.
        """
        source = data.locate(options.model, folder, "base.model")
        files = BaseFiles(options.model, source, options.revision)
        model = load_whole(files)
        heads = resolve(model, options, is_plain=files.is_plain)

        shell = cast("Transformer", model[0])
        encoder = Encoder.of(shell.model, rhythm=options.rhythm, own_rhythm=own_rhythm)
        require_cuttable(shell.model, encoder)
        return cls(options, encoder, shell, heads, device)

    @property
    def bf16(self) -> bool:
        """Whether matrix products run in bfloat16."""
        return self.options.precision == "bf16"

    @property
    def settings(self) -> Settings:
        """Pooling, prompts, lengths and all else that decides its scores besides weights."""
        return describe(self.shell, self.heads)

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

        retriever = SentenceTransformer(
            modules=[shell, *copy.deepcopy(self.heads.modules)],
            device=self.device,
            prompts=dict(self.heads.prompts),
            similarity_fn_name=self.heads.similarity,  # type: ignore[arg-type]  # checked when read
            truncate_dim=self.heads.dimensions,
        )
        return retriever, notes

    def whole(self) -> SentenceTransformer:
        """Build the untrained retriever that keeps every layer."""
        retriever, _ = self.cut(tuple(range(self.encoder.layers)))
        return retriever

    def fingerprint(self) -> str:
        """Return the SHA-256 over the names and values of all weights, the heads' included."""
        weights = dict(self.encoder.weights)
        for number, module in enumerate(self.heads.modules, 1):
            own = module.state_dict().items()
            weights |= {f"{number}_{type(module).__name__}.{name}": one for name, one in own}
        return fingerprint(weights)


def load_whole(files: BaseFiles) -> SentenceTransformer:
    """Load a base as the library does, fp32, on the CPU.

    Args:
        files: the base.

    Raises:
        InputError: it cannot be loaded, or only by running code of its own.
    """
    # or the library asks a bot on the hub to convert a pickle, and loads the bot's proposal
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    weights: dict[str, Any] = {
        "dtype": torch.float32,
        "use_safetensors": True,
        "attn_implementation": None,
    }

    try:
        files.require_safe()
        with torch.random.fork_rng(devices=[]):
            # weights that a checkpoint lacks (a pooler) are drawn at random: the same in every
            # process
            torch.manual_seed(0)
            model = SentenceTransformer(
                files.source,
                device="cpu",
                revision=files.revision,
                trust_remote_code=False,
                model_kwargs=weights,
                config_kwargs=dict(_IGNORED),
            )
    except InputError:
        raise
    except Exception as error:  # the library raises whatever its parts raise
        raise InputError(_explain(files, error)) from error

    _forget_code(cast("Transformer", model[0]))
    return model


def _explain(files: BaseFiles, error: Exception) -> str:
    """Say in one line why a base cannot be loaded, and how to mend it where that is known."""
    text = str(error).strip()
    if "trust_remote_code" in text:
        return (
            f"base.model {files.model} needs Python code of its own, which is never run: choose a "
            "base of an architecture that the library transformers comes with"
        )

    if isinstance(error, OSError) and "model.safetensors" in text:
        return (
            f"base.model {files.model} has no model.safetensors: weights must be safetensors, "
            "because other formats can run code; load the model where you trust it, and save it "
            "again with save_pretrained"
        )

    hint = data.hub_hint(files.source)
    return f"cannot load base.model {files.model}{hint}: {first_line(error)}"


def _forget_code(shell: Transformer) -> None:
    """Drop references to the base's own classes: cut and exported models are stock models."""
    vars(shell.config).pop("auto_map", None)
    getattr(shell.tokenizer, "init_kwargs", {}).pop("auto_map", None)
