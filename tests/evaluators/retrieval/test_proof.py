"""The proof of a base: layers that do not stand alone are refused in one line that says why."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DiffLlamaConfig,
    DiffLlamaModel,
    PreTrainedModel,
    SwitchTransformersConfig,
    SwitchTransformersEncoderModel,
)

import evaluators
from evaluators import InputError, ScreenOptions
from evaluators.retrieval.surgery import Encoder, require_cuttable
from evaluators.retrieval.surgery.proof import probe_subsets
from tests.support import retrieval
from tests.support.families import FAMILIES, write_base
from tests.support.trees import tree_of

SIZES: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


def prove(model: PreTrainedModel) -> None:
    """Prove that a model can be cut."""
    require_cuttable(model, Encoder.of(model))


def bert() -> BertModel:
    """A tiny BERT."""
    torch.manual_seed(0)
    return BertModel(BertConfig(**SIZES, initializer_range=0.2))


def test_a_base_of_layers_that_stand_alone_passes() -> None:
    model = bert()
    prove(model)
    assert probe_subsets(Encoder.of(model)) == [(0, 2, 4, 5), (1, 3, 5)]


def test_layers_that_depend_on_their_number_are_refused() -> None:
    torch.manual_seed(0)
    model = DiffLlamaModel(DiffLlamaConfig(**SIZES, num_key_value_heads=2, use_cache=False))
    with pytest.raises(InputError) as refused:
        prove(model)
    assert re.fullmatch(
        r"DiffLlamaModel cannot be cut: its layers depend on more than their weights and types, so "
        r"that \(0, 2, 4, 5\) computes something else than these layers of the base \(off by \S+\)",
        str(refused.value),
    )


def test_layers_with_other_weights_at_other_positions_are_refused() -> None:
    torch.manual_seed(0)
    config = SwitchTransformersConfig(
        vocab_size=99,
        d_model=32,
        d_ff=48,
        d_kv=8,
        num_heads=4,
        num_layers=6,
        num_sparse_encoder_layers=3,
        num_experts=2,
    )
    with pytest.raises(InputError) as refused:
        prove(SwitchTransformersEncoderModel(config))
    message = str(refused.value)
    assert "its layers have other weights at other positions (" in message
    assert "\n" not in message
    assert len(message) < 300


def test_a_model_that_fails_on_a_shorter_configuration_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = bert()
    encoder = Encoder.of(model)

    def break_down(*_: object, **__: object) -> None:
        message = "no such depth\nand more"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(BertModel, "forward", break_down)
    with pytest.raises(InputError, match=r"^BertModel cannot be cut to \(0, 2, 4, 5\): no such"):
        require_cuttable(model, encoder)


@pytest.mark.slow
def test_a_supernet_over_inputs_by_layer_is_refused(
    small_toy: Path, toy_words: list[str], tmp_path: Path
) -> None:
    family = next(one for one in FAMILIES if one.kind == "embedding_gemma2_text")
    base = write_base(family, toy_words, tmp_path / "base")
    keys = {"steps": 1, "batch_size": 4}
    evaluator = retrieval.build(small_toy, keys, base=base)

    with pytest.raises(evaluators.InputError, match=r"outside its layers \(ple\."):
        list(evaluator.screen(tree_of((0, 5)), ScreenOptions(weights="supernet", steps=1)))

    with pytest.raises(evaluators.TrialFailure, match="keep such a layer last"):
        evaluator.evaluate((0, 1), 0)
