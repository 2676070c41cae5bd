"""Tiny bases of every family, with random weights, in the hub's layout with their settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedModel, T5EncoderModel
from transformers.models.t5gemma import T5GemmaEncoderModel

from evaluators._toy.base import make_tokenizer

LAYERS = 6
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 8, "use_cache": False}
_GEMMA = {**_GROUPED, "sliding_window": 9, "query_pre_attn_scalar": 8}

_GEMMA_PART = {**_SIZES, **_GEMMA}


@dataclass(frozen=True)
class Family:
    """One family of bases, and the settings its models are shipped with.

    Attributes:
        kind: `model_type` of its configuration.
        changes: settings of the configuration besides the usual sizes.
        pooling: how its models pool tokens.
        prompts: texts before queries and documents.
        dense: sizes of Dense modules behind the pooling, each with its activation.
        normalize: whether embeddings have length 1.
        similarity: similarity of embeddings.
        padding: side of the padding.
        whole_class: class of the whole model where `AutoModel` makes more than the encoder.
    """

    kind: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    pooling: Any = "mean"
    prompts: Mapping[str, str] = field(default_factory=dict)
    dense: tuple[tuple[int, nn.Module], ...] = ()
    normalize: bool = False
    similarity: Any = "cosine"
    padding: str = "right"
    whole_class: type[PreTrainedModel] | None = None

    def __repr__(self) -> str:
        """Return the family's name, which pytest shows."""
        return self.kind


E5 = {"query": "the ", "document": "a "}
FAMILIES = (
    Family("bert", pooling="cls", normalize=True),
    Family("roberta", prompts=E5),
    Family("xlm-roberta", pooling="cls", prompts=E5, normalize=True),
    Family("distilbert", {"dim": 32, "hidden_dim": 48, "n_layers": LAYERS, "n_heads": 4}),
    Family("mpnet", normalize=True),
    Family("electra", {"embedding_size": 16}, similarity="dot"),
    Family("deberta-v2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    Family("modernbert", {"local_attention": 8, "cls_token_id": 2, "sep_token_id": 3}),
    Family("modernbert-decoder", {"local_attention": 8, "use_cache": False}, pooling="lasttoken"),
    Family("nomic_bert", {"head_dim": 8}, prompts=E5),
    Family("eurobert", _GROUPED),
    Family("gte", pooling="cls"),
    Family("jina_embeddings_v3", {"type_vocab_size": 1}),
    Family("ultrabert", {"sliding_window": 4, "head_dim": 8}, similarity="euclidean"),
    Family(
        "gemma3_text",
        {**_GEMMA, "use_bidirectional_attention": True},
        prompts=E5,
        dense=((48, nn.Identity()), (32, nn.Identity())),
        normalize=True,
    ),
    Family(
        "embedding_gemma2_text",
        {**_GROUPED, "sliding_window": 4, "sliding_window_pattern": 3, "global_head_dim": 16}
        | {"hidden_size_per_layer_input": 8, "embedding_dim": 32},
        normalize=True,
    ),
    Family("qwen3", _GROUPED, "lasttoken", {"query": "the "}, normalize=True, padding="left"),
    Family("llama", _GROUPED, pooling="lasttoken"),
    Family("ministral3", _GROUPED, pooling="weightedmean"),
    Family(
        "t5",
        {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": LAYERS, "num_heads": 4},
        dense=((24, nn.Tanh()),),
        normalize=True,
        whole_class=T5EncoderModel,
    ),
    Family(
        "t5gemma",
        {"encoder": _GEMMA_PART, "decoder": _GEMMA_PART, "is_encoder_decoder": False},
        normalize=True,
        whole_class=T5GemmaEncoderModel,
    ),
    Family("lfm2", {**_GROUPED, "layer_types": ["conv", "conv", "full_attention"] * 2}, "cls"),
)
"""Families that are cut; ALBERT, which shares one layer, is refused."""


def write_base(family: Family, vocabulary: list[str], folder: Path) -> Path:
    """Write a tiny base of a family, as its models are shipped.

    Args:
        family: the family.
        vocabulary: words it knows.
        folder: where it goes.
    """
    model = make_model(family, len(vocabulary) + 5)
    tokenizer = make_tokenizer(vocabulary)
    tokenizer.padding_side = family.padding
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)

    shell = Transformer(str(folder), max_seq_length=40)
    pooling = Pooling(shell.get_embedding_dimension(), family.pooling)
    modules: list[nn.Module] = [shell, pooling]
    width = pooling.get_embedding_dimension()
    for size, activation in family.dense:
        modules.append(Dense(width, size, activation_function=activation))
        width = size
    modules += [Normalize()] if family.normalize else []

    shipped = SentenceTransformer(
        modules=modules,
        device="cpu",
        prompts=dict(family.prompts),
        similarity_fn_name=family.similarity,
    )
    shipped.save_pretrained(str(folder), create_model_card=False)
    return folder


def make_model(family: Family, tokens: int) -> PreTrainedModel:
    """Return a tiny model of a family, with norms and biases moved off their defaults."""
    config_class = CONFIG_MAPPING[family.kind]
    known = set(config_class().to_dict()) | set(config_class.attribute_map)
    sizes = {name: size for name, size in _SIZES.items() if name in known}
    renamed = config_class.attribute_map
    sizes = {name: size for name, size in sizes.items() if renamed.get(name) not in family.changes}
    changes: dict[str, Any] = {
        name: {**value, "vocab_size": tokens} if isinstance(value, dict) else value
        for name, value in family.changes.items()
    }
    config = config_class(**{**sizes, "vocab_size": tokens, **changes})

    torch.manual_seed(0)
    if family.whole_class is None:
        model: PreTrainedModel = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    else:
        model = family.whole_class(config)

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            # so that a wrong layer, norm or bias shows in the first decimals
            scale = 0.2 if weight.dim() > 1 else 0.5
            weight.add_(scale * torch.rand(weight.shape, generator=generator) - scale / 2)
    model.train(mode=False)
    return model
