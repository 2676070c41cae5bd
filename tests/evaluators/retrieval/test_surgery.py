"""Surgery: the cut, the saved and the reloaded model are the same."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModel,
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from evaluators import InputError
from evaluators.retrieval.surgery import Encoder, Rhythm, find_rhythm, find_stack

Model = TypeVar("Model", bound=PreTrainedModel)
WINDOW = 8
LENGTH = 40  # several local windows


def modernbert(attention: str = "sdpa", layers: int = 22) -> ModernBertModel:
    """A small ModernBERT with random weights."""
    config = ModernBertConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=2,
        local_attention=WINDOW,
        max_position_embeddings=64,
        initializer_range=0.2,  # so that a wrong layer shows in the first decimals
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
        pad_token_id=0,
        cls_token_id=1,
        bos_token_id=1,
        sep_token_id=2,
        eos_token_id=2,
    )
    config._attn_implementation = attention

    return shaken(ModernBertModel(config))


def bert(attention: str = "sdpa") -> BertModel:
    """A small BERT with random weights."""
    config = BertConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    config._attn_implementation = attention

    return shaken(BertModel(config))


def xlm_roberta(attention: str = "sdpa") -> XLMRobertaModel:
    """A small XLM-RoBERTa with random weights."""
    config = XLMRobertaConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=5,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    config._attn_implementation = attention

    return shaken(XLMRobertaModel(config))


def shaken(model: Model) -> Model:
    """`model` with every norm and bias moved off its default, so that losing one shows."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.rand(weight.shape, generator=generator))
    model.train(mode=False)
    return model


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a model."""
    layers = model.get_submodule(find_stack(model))
    assert isinstance(layers, nn.ModuleList)
    return layers


def keep(model: PreTrainedModel, subset: tuple[int, ...]) -> None:
    """Reduce a model to a list of the kept layers, without building it anew."""
    layers = layers_of(model)
    model.set_submodule(find_stack(model), nn.ModuleList([layers[layer] for layer in subset]))


def batch() -> dict[str, torch.Tensor]:
    """Three texts, longer than the local window, two of them padded."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 99, (3, LENGTH), generator=generator)

    mask = torch.ones_like(ids)
    mask[1, 25:] = 0
    mask[2, 3:] = 0

    return {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}


def embeddings(model: PreTrainedModel) -> torch.Tensor:
    """Masked mean over tokens, shape (3, hidden)."""
    inputs = batch()
    with torch.inference_mode():
        states: torch.Tensor = model(**inputs).last_hidden_state

    mask = inputs["attention_mask"].unsqueeze(-1)
    return (states * mask).sum(1) / mask.sum(1)


SUBSETS = [(0, 1, 2, 18), (0, 4, 8, 9), (0, 1, 2, 3, 6, 7, 8), (0,), (18, 19, 20, 21), (5, 9, 21)]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("subset", SUBSETS, ids=lambda subset: "_".join(map(str, subset)))
def test_cut_saved_and_reloaded_agree(
    attention: str, subset: tuple[int, ...], tmp_path: Path
) -> None:
    cut, _ = Encoder.of(modernbert(attention)).cut(subset)

    cut.save_pretrained(tmp_path)
    reloaded = AutoModel.from_pretrained(tmp_path, attn_implementation=attention).eval()

    assert cut.config._attn_implementation == attention
    torch.testing.assert_close(embeddings(cut), embeddings(reloaded), rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [bert, xlm_roberta])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_other_families_agree_with_a_list_of_the_kept_layers(
    make: Callable[[str], PreTrainedModel], attention: str, tmp_path: Path
) -> None:
    base = make(attention)
    cut, notes = Encoder.of(base).cut((1, 2, 4))

    keep(base, (1, 2, 4))
    torch.testing.assert_close(embeddings(cut), embeddings(base), rtol=0, atol=1e-6)
    assert notes == ()

    cut.save_pretrained(tmp_path)
    reloaded = AutoModel.from_pretrained(tmp_path, attn_implementation=attention).eval()
    torch.testing.assert_close(embeddings(cut), embeddings(reloaded), rtol=0, atol=1e-6)


def test_a_strict_subset_agrees_with_a_list_of_the_kept_layers() -> None:
    base = modernbert()
    cut, _ = Encoder.of(base).cut((0, 4, 8, 18))

    keep(base, (0, 4, 8, 18))
    torch.testing.assert_close(embeddings(cut), embeddings(base), rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [modernbert, bert, xlm_roberta])
def test_keeping_every_layer_gives_the_base_bit_for_bit(
    make: Callable[[], PreTrainedModel],
) -> None:
    base = make()
    cut, notes = Encoder.of(base).cut(tuple(range(base.config.num_hidden_layers)))

    assert notes == ()
    assert torch.equal(embeddings(cut), embeddings(base))
    weights = base.state_dict()
    assert cut.state_dict().keys() == weights.keys()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in cut.state_dict().items())


def test_no_module_remembers_its_old_index() -> None:
    cut, _ = Encoder.of(modernbert()).cut((0, 3, 4, 5, 8, 20, 21))

    for place, layer in enumerate(layers_of(cut)):
        is_global = place % 3 == 0
        attention = layer.get_submodule("attn")
        assert layer.layer_idx == attention.layer_idx == place
        assert layer.attention_type == ("full_attention" if is_global else "sliding_attention")
        assert attention.sliding_window == (None if is_global else WINDOW // 2 + 1)


def test_without_layer_0_the_first_norm_is_dropped_and_said_so() -> None:
    cut, notes = Encoder.of(modernbert()).cut((3, 4, 5))

    assert isinstance(layers_of(cut)[0].attn_norm, nn.Identity)
    assert notes == ("layer 3 comes first and loses attn_norm.weight",)


def test_cuts_do_not_share_weights_with_the_base() -> None:
    encoder = Encoder.of(modernbert())
    before = encoder.fingerprint()

    cut, _ = encoder.cut((0, 1, 2))
    with torch.no_grad():
        for weight in cut.parameters():
            weight.add_(1.0)
    assert encoder.fingerprint() == before


def test_the_fingerprint_sees_one_changed_weight() -> None:
    base = modernbert()
    before = Encoder.of(base).fingerprint()
    with torch.no_grad():
        layers_of(base)[21].get_parameter("mlp.Wo.weight")[0, 0] += 1e-3
    assert Encoder.of(base).fingerprint() != before


def test_the_stack_is_found_by_its_shape() -> None:
    assert find_stack(modernbert()) == "layers"
    assert find_stack(bert()) == "encoder.layer"


def test_a_model_without_a_stack_of_layers_is_refused() -> None:
    config = AlbertConfig(
        vocab_size=99,
        embedding_size=16,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=2,
    )
    with pytest.raises(InputError, match="num_hidden_groups says that its layers share one set"):
        Encoder.of(AlbertModel(config))


def test_layers_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="layers 0 to 5"):
        Encoder.of(bert()).cut((0, 6))


@pytest.mark.parametrize(
    ("types", "rhythm"),
    [
        ("gllgllg", Rhythm(3, "first")),
        ("glgl", Rhythm(2, "first")),
        ("lglg", Rhythm(2, "last")),
        ("llgllgl", Rhythm(3, "last")),
        ("llglll", None),
        ("lllllglllll", Rhythm(6, "last")),
        ("gggg", None),
        ("llll", None),
        ("gllglgl", None),
        ("glllg", Rhythm(4, "first")),
        ("gcc", Rhythm(3, "first")),
        ("glc", None),
        ("gmm", None),
    ],
    ids=repr,
)
def test_the_rhythm_is_read_from_the_layer_types(types: str, rhythm: Rhythm | None) -> None:
    """Windows and chunks alternate with global attention; a layer of another kind cannot."""
    names = {
        "g": "full_attention",
        "l": "sliding_attention",
        "c": "chunked_attention",
        "m": "linear_attention",
    }
    assert find_rhythm([names[letter] for letter in types]) == rhythm


def test_an_encoder_without_alternating_attention_has_no_rhythm() -> None:
    assert Encoder.of(bert()).rhythm is None
