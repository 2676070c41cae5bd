"""The export of a cut model that stock libraries load, proved by loading it."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from evaluators._errors import EvaluatorError, InputError

TOLERANCE = 1e-6
"""Largest difference of two embeddings of one model. The same operations in fp32 on one device
give equal numbers, or differ by a few roundings (2**-24 each) where a library picks another kernel;
a wrong layer, norm or rhythm shows in the first decimals."""

_PROBE = (
    "which layers of an encoder are worth keeping?",
    "Retrieval finds the passages that answer a question. " * 40,  # longer than a local window
    "短い文書",
)


def write(model: SentenceTransformer, folder: Path, card: str, period: int | None) -> Path:
    """Write a model and its card to a new folder.

    The folder appears under its name only when everything in it is complete and was reloaded.

    Args:
        model: the cut model.
        folder: where to write; must not exist.
        card: the text of README.md.
        period: period of global attention, for readers that know only the positional rhythm.

    Returns:
        The folder.

    Raises:
        InputError: `folder` exists.
        EvaluatorError: the reloaded model gives other embeddings.
    """
    if folder.exists():
        message = f"{folder} exists already: choose another folder, or remove it first"
        raise InputError(message)

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        model.save_pretrained(str(scratch), create_model_card=False)
        _extend_config(scratch / "config.json", period)
        (scratch / "README.md").write_text(card, encoding="utf-8")

        _prove(model, scratch)

        scratch.chmod(0o755)  # mkdtemp makes it private
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    return folder


def _extend_config(path: Path, period: int | None) -> None:
    """Add the older names of `layer_types` and `rope_parameters` to a configuration.

    Text-embeddings-inference, vLLM and transformers before 5 read the rhythm and the RoPE bases
    from `global_attn_every_n_layers`, `global_rope_theta` and `local_rope_theta`.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    if period is not None:
        config["global_attn_every_n_layers"] = period

    rope = config.get("rope_parameters") or {}
    for old, kind in (("global", "full_attention"), ("local", "sliding_attention")):
        theta = (rope.get(kind) or {}).get("rope_theta") if isinstance(rope, dict) else None
        if theta is not None:
            config[f"{old}_rope_theta"] = theta

    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _prove(model: SentenceTransformer, folder: Path) -> None:
    """Reload `folder` with stock loaders and compare embeddings.

    Raises:
        EvaluatorError: they differ by more than `TOLERANCE`.
    """
    # one device and precision for both sides: this compares weights and settings, not hardware
    model = model.to("cpu").eval()
    gaps = {
        "SentenceTransformer": _gap_of_retriever(model, folder),
        "AutoModel": _gap_of_encoder(model, folder),
    }

    for reader, gap in gaps.items():
        if not gap <= TOLERANCE:
            message = f"{reader} reloads other embeddings (off by {gap:.2g}): nothing was written"
            raise EvaluatorError(message)


def _gap_of_retriever(model: SentenceTransformer, folder: Path) -> float:
    """Return the largest difference between text embeddings of `model` and of its files."""
    reloaded = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False
    )

    texts = list(_PROBE)
    expected = model.encode(texts, convert_to_tensor=True)
    found = reloaded.encode(texts, convert_to_tensor=True)
    return _largest_difference(expected, found)


def _gap_of_encoder(model: SentenceTransformer, folder: Path) -> float:
    """Return the largest difference between hidden states of `model` and of its files."""
    where = {"local_files_only": True, "trust_remote_code": False}
    reloaded = AutoModel.from_pretrained(folder, use_safetensors=True, **where).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, **where)

    inputs = tokenizer(
        list(_PROBE),
        padding=True,
        truncation=True,
        max_length=model.max_seq_length,
        return_tensors="pt",
    )

    with torch.inference_mode():
        expected = _encoder(model)(**inputs).last_hidden_state
        found = reloaded(**inputs).last_hidden_state
    return _largest_difference(expected, found)


def _encoder(model: SentenceTransformer) -> PreTrainedModel:
    """Return the transformer inside `model`."""
    module = model[0]
    if not isinstance(module, Transformer):
        raise TypeError(type(module).__name__)
    encoder: PreTrainedModel = module.auto_model
    return encoder


def _largest_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    """Return the largest absolute difference; NaN if there is one."""
    return float((left - right).abs().max())
