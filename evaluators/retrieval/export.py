"""Writes a cut model that stock libraries load, and proves it by loading it."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from evaluators.errors import EvaluatorError, InputError

TOLERANCE = 1e-6
_PROBE = (
    "which layers of an encoder are worth keeping?",
    "Retrieval finds the passages that answer a question. " * 40,  # longer than a local window
    "短い文書",
)


def write(model: SentenceTransformer, folder: Path, card: str, period: int | None) -> Path:
    """Write `model` and its card `card` to the new folder `folder`.

    The folder appears under its name only when everything in it is complete and was reloaded.

    Args:
        model: the cut model.
        folder: where to write; must not exist.
        card: the text of README.md.
        period: period of global attention, for readers that know only the positional rhythm.

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
    """Add the older names of what newer readers call `layer_types` and `rope_parameters`.

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
    texts = list(_PROBE)
    # one device and precision for both sides: this compares weights and settings, not hardware
    model = model.to("cpu").eval()
    expected = model.encode(texts, convert_to_tensor=True)
    reloaded = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False
    )
    gaps = {"SentenceTransformer": _gap(expected, reloaded.encode(texts, convert_to_tensor=True))}
    where = {"local_files_only": True, "trust_remote_code": False}
    encoder = AutoModel.from_pretrained(folder, use_safetensors=True, **where).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    inputs = tokenizer(
        texts, padding=True, truncation=True, max_length=model.max_seq_length, return_tensors="pt"
    )
    with torch.inference_mode():
        stock = encoder(**inputs).last_hidden_state
        cut = _encoder(model)(**inputs).last_hidden_state
    gaps["AutoModel"] = _gap(cut, stock)
    for reader, gap in gaps.items():
        if not gap <= TOLERANCE:
            message = f"{reader} reloads other embeddings (off by {gap:.2g}): nothing was written"
            raise EvaluatorError(message)


def _encoder(model: SentenceTransformer) -> PreTrainedModel:
    """The transformer inside `model`."""
    module = model[0]
    if not isinstance(module, Transformer):
        raise TypeError(type(module).__name__)
    encoder: PreTrainedModel = module.auto_model
    return encoder


def _gap(left: torch.Tensor, right: torch.Tensor) -> float:
    """Largest absolute difference."""
    return float((left - right).abs().max())
