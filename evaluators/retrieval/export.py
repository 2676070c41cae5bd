"""The export of a cut model that stock libraries load, proved by loading it."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from transformers import AutoTokenizer, PreTrainedModel

from evaluators._errors import EvaluatorError, InputError
from evaluators.retrieval.surgery import Rhythm

TOLERANCE = 1e-6
"""Largest difference of two embeddings of one model. The same operations in fp32 on one device
give equal numbers, or differ by a few roundings (2**-24 each) where a library picks another kernel;
a wrong layer, norm or rhythm shows in the first decimals."""

_PROBE = (
    "which layers of an encoder are worth keeping?",
    "Retrieval finds the passages that answer a question. " * 40,  # longer than a local window
    "短い文書",
)
_PERIOD_NAMES = {
    "first": ("global_attn_every_n_layers",),
    "last": ("_sliding_window_pattern", "sliding_window_pattern"),
}
"""Settings from which readers that know no `layer_types` compute them, by the phase of the rhythm:
ModernBERT's (text-embeddings-inference, vLLM, transformers before 5), and Gemma's (the same; the
name without an underscore in transformers before 4.53)."""
_THETA_NAMES = {
    "first": ("global_rope_theta", "local_rope_theta"),
    "last": ("rope_theta", "rope_local_base_freq"),
}
"""Older names of the rotary bases of global and of local layers, of the same families."""


def write(model: SentenceTransformer, folder: Path, card: str, rhythm: Rhythm | None) -> Path:
    """Write a model and its card to a new folder.

    The folder appears under its name only when everything in it is complete and was reloaded.

    Args:
        model: the cut model.
        folder: where to write; must not exist.
        card: the text of README.md.
        rhythm: rhythm of the cut model, for readers that know only the positional rhythm.

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
        _extend_config(scratch / "config.json", rhythm)
        (scratch / "README.md").write_text(card, encoding="utf-8")

        _prove(model, scratch)

        scratch.chmod(0o755)  # mkdtemp makes it private
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    return folder


def _extend_config(path: Path, rhythm: Rhythm | None) -> None:
    """Add the older names of `layer_types` and `rope_parameters` to a configuration."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if rhythm is not None:
        config |= dict.fromkeys(_PERIOD_NAMES[rhythm.phase], rhythm.period)

    config |= _older_rope(config.get("rope_parameters") or {}, rhythm)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _older_rope(rope: Any, rhythm: Rhythm | None) -> dict[str, float]:
    """Return the rotary bases under their older names, which transformers before 5 read.

    Args:
        rope: `rope_parameters`: of all layers, or by attention type.
        rhythm: rhythm of the cut model.
    """
    if not isinstance(rope, dict):
        return {}
    if "rope_theta" in rope:
        return {"rope_theta": rope["rope_theta"]}
    if rhythm is None:
        return {}

    kinds = ("full_attention", "sliding_attention")
    thetas = [(rope.get(kind) or {}).get("rope_theta") for kind in kinds]
    named = zip(_THETA_NAMES[rhythm.phase], thetas, strict=True)
    return {name: theta for name, theta in named if theta is not None}


def _prove(model: SentenceTransformer, folder: Path) -> None:
    """Reload `folder` with stock loaders and compare embeddings.

    Raises:
        EvaluatorError: they differ by more than `TOLERANCE`.
    """
    # one device and precision for both sides: this compares weights and settings, not hardware
    model = model.to("cpu").eval()
    gaps = {
        "SentenceTransformer": _gap_of_retriever(model, folder),
        type(_encoder(model)).__name__: _gap_of_encoder(model, folder),
    }

    for reader, gap in gaps.items():
        if not gap <= TOLERANCE:
            message = f"{reader} reloads other embeddings (off by {gap:.2g}): nothing was written"
            raise EvaluatorError(message)


def _gap_of_retriever(model: SentenceTransformer, folder: Path) -> float:
    """Return the largest difference of text embeddings, as queries and as documents."""
    reloaded = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False
    )

    texts, gaps = list(_PROBE), []
    for expected, found in (
        (model.encode_query, reloaded.encode_query),
        (model.encode_document, reloaded.encode_document),
    ):
        embeddings = expected(texts, convert_to_tensor=True)
        scale = float(embeddings.abs().max().clamp(min=1))
        again = found(texts, convert_to_tensor=True)
        gaps.append(_largest_difference(embeddings, again) / scale)
    return max(gaps)


def _gap_of_encoder(model: SentenceTransformer, folder: Path) -> float:
    """Return the largest difference between hidden states of `model` and of its files."""
    encoder = _encoder(model)
    reloaded = type(encoder).from_pretrained(folder, local_files_only=True, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )

    inputs = tokenizer(
        list(_PROBE),
        padding=True,
        truncation=True,
        max_length=_longest(model),
        return_tensors="pt",
    )

    with torch.inference_mode():
        expected = encoder(**inputs).last_hidden_state
        found = reloaded.eval()(**inputs).last_hidden_state
    return _largest_difference(expected, found) / float(expected.abs().max().clamp(min=1))


def _longest(model: SentenceTransformer) -> int | None:
    """Return the number of tokens that `model` reads of a document."""
    module = model[0]
    own: int | None = getattr(module, "document_length", None)
    return own or model.max_seq_length


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
