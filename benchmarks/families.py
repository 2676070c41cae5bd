"""Families of encoders that can be cut: every base class of transformers, in miniature.

Builds a tiny model with random weights from each stock configuration, loads it as a base, proves
that cuts compute what their layers compute in the base, and exports one, which is reloaded. A row
for each: cut, or refused and why. Classes that cannot be built so small, or that do not read token
ids alone, are listed apart.

    python benchmarks/families.py                # all of them: about five minutes on two cores
    python benchmarks/families.py bert qwen3 t5  # these only
"""

import argparse
import contextlib
import inspect
import io
import logging
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers
from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedConfig, PreTrainedModel

import evaluators
from evaluators._toy.base import make_tokenizer
from evaluators.retrieval import export
from evaluators.retrieval.base import LoadedBase
from evaluators.retrieval.device import silence_libraries

LAYERS = 6
WORDS = [f"word{number}" for number in range(91)]
COMPOSITES = ("t5gemma", "t5gemma2", "embedding_gemma2")
"""Types with parts of their own whose text encoder is taken."""
SIZES = {
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd", "emb_dim"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "hidden_dim", "n_inner"), 48),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads"), 4),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers"), LAYERS),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "sliding_window", "local_attention"), 8),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "moe_intermediate_size"), 48),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), LAYERS),
    "embedding_size": 16,
    "num_key_value_heads": 2,
    "rotary_dim": 4,
    "vocab_size": len(WORDS) + 5,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
LATENT = {
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim"), 4),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank"), 8),
    "num_key_value_heads": 4,
}
"""Sizes where keys are compressed (DeepSeek and its kin), in place of the usual ones."""
SPECIAL: dict[str, dict[str, Any]] = {
    "esmc": {"num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 3]]},
    "squeezebert": {"embedding_size": 32},
    "xmod": {"default_language": "en_XX"},
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
    },
}
"""Settings that a family needs to be this small."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one family.

    Attributes:
        kind: `model_type` of the configuration.
        result: `cut`, `refused`, or `not built`.
        detail: stack and rhythm, or the reason.
    """

    kind: str
    result: str
    detail: str


def main() -> None:
    """Print a row for each family, and how many there are of each result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help="model types; all when left out")
    kinds = parser.parse_args().kinds or list(text_kinds())

    silence_libraries()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    print(f"transformers {transformers.__version__}, {len(kinds)} text model types")
    counts: Counter[str] = Counter()
    for kind in kinds:
        outcome = try_family(kind)
        counts[outcome.result] += 1
        print(f"| {outcome.kind} | {outcome.result} | {outcome.detail} |", flush=True)
    print(", ".join(f"{result}: {count}" for result, count in counts.items()))


def text_kinds() -> Iterator[str]:
    """Yield the model types whose base class reads token ids and nothing but text."""
    for kind in CONFIG_MAPPING:
        with contextlib.suppress(Exception):  # a class whose own requirements are not installed
            config_class = CONFIG_MAPPING[kind]
            if kind in COMPOSITES or (
                config_class in MODEL_MAPPING
                and not config_class.sub_configs
                and _reads_text(_base_class(config_class))
            ):
                yield kind


def _base_class(config_class: type[PreTrainedConfig]) -> type[PreTrainedModel]:
    """Return the base model class of a configuration."""
    found: Any = MODEL_MAPPING[config_class]
    chosen: type[PreTrainedModel] = found[0] if isinstance(found, tuple | list) else found
    return chosen


def _reads_text(model_class: type[PreTrainedModel]) -> bool:
    """Whether a model takes token ids, and neither pixels nor sound."""
    names = inspect.signature(model_class.forward).parameters
    others = {"pixel_values", "input_features", "input_values", "bbox", "visual_feats"}
    return "input_ids" in names and not others & names.keys()


def try_family(kind: str) -> Outcome:
    """Build, load, cut and export a tiny model of one type."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(scratch, "base")
        try:
            _write(kind, folder)
        except Exception as error:  # noqa: BLE001 - whatever a class raises on small sizes
            return Outcome(kind, "not built", _line(error))

        options = evaluators.BaseOptions(model=str(folder), query_length=32, document_length=32)
        try:
            base = LoadedBase.load(options, folder, "cpu")
            subset = _last_with_own_types(base)
            model, _ = base.cut(subset)
            export.write(model, Path(scratch, "cut"), "", base.encoder.cut_rhythm(subset))
        except evaluators.EvaluatorError as error:
            return Outcome(kind, "refused", _line(error).replace(str(folder), "BASE"))
        except Exception as error:  # noqa: BLE001 - a defect, which the table must show
            return Outcome(kind, "FAILED", f"{type(error).__name__}: {_line(error)}")

        rhythm = base.encoder.rhythm
        words = f"{rhythm.period}, {rhythm.phase}" if rhythm else "none"
        return Outcome(kind, "cut", f"`{base.encoder.stack}`, rhythm {words}")


def _last_with_own_types(base: LoadedBase) -> tuple[int, ...]:
    """Return every second layer, with the last one: some classes end with global attention."""
    layers = base.encoder.layers
    return tuple(sorted({*range(0, layers, 2), layers - 1}))


def _write(kind: str, folder: Path) -> None:
    """Write a tiny model and its tokenizer."""
    config = _tiny_config(kind)
    torch.manual_seed(0)
    _base_class(type(config))(config).save_pretrained(folder)
    make_tokenizer(WORDS).save_pretrained(folder)


def _tiny_config(kind: str) -> PreTrainedConfig:
    """Return the stock configuration of a type with small sizes, also of its parts."""
    config_class = CONFIG_MAPPING[kind]
    if kind in COMPOSITES:
        parts: dict[str, Any] = {part: _sizes(one) for part, one in _text_parts(config_class)}
        return config_class(**parts)
    return config_class(**{**_sizes(config_class), **SPECIAL.get(kind, {})})


def _text_parts(
    config_class: type[PreTrainedConfig],
) -> Iterator[tuple[str, type[PreTrainedConfig]]]:
    """Yield name and class of the parts of a composite that describe text."""
    for name, part in config_class.sub_configs.items():
        if name in ("text_config", "encoder", "decoder"):
            yield name, part


def _sizes(config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    """Return small sizes for the settings that a configuration has."""
    stock = config_class()
    sizes = {**SIZES, **(LATENT if hasattr(stock, "kv_lora_rank") else {})}
    renamed = config_class.attribute_map

    known = set(stock.to_dict()) | set(renamed)
    chosen = {name: size for name, size in sizes.items() if name in known}
    return {name: size for name, size in chosen.items() if renamed.get(name) not in chosen}


def _line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).replace("|", "/")[:240]


if __name__ == "__main__":
    main()
