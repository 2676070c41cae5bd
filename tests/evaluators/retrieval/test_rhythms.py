"""Cut models of either phase: attention by position, or a rhythm of their own."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AutoConfig,
    Gemma3TextConfig,
    Gemma3TextModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    UltrabertConfig,
    UltrabertModel,
)

from evaluators import ScreenOptions
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.surgery import Encoder
from search.space import LayerSpace
from search.space.prefix_tree import PrefixTree
from search.space.rhythm import Phase
from tests.support import retrieval
from tests.support.families import FAMILIES, write_base

GLOBAL, LOCAL = "full_attention", "sliding_attention"
SIZES: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}


def gemma(layers: int = 24) -> PreTrainedModel:
    """A tiny EmbeddingGemma: period 6, the last of it global, bidirectional."""
    config = Gemma3TextConfig(
        **SIZES,
        num_hidden_layers=layers,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=5,
        use_bidirectional_attention=True,
    )
    return Gemma3TextModel(config)


def ultrabert(layers: int = 12) -> PreTrainedModel:
    """A tiny UltraBERT: period 3, the last of it global."""
    return UltrabertModel(
        UltrabertConfig(**SIZES, num_hidden_layers=layers, head_dim=8, sliding_window=3)
    )


def modernbert(layers: int = 12) -> PreTrainedModel:
    """A tiny ModernBERT: period 3, the first of it global."""
    config = ModernBertConfig(
        **SIZES, num_hidden_layers=layers, local_attention=6, cls_token_id=1, sep_token_id=2
    )
    return ModernBertModel(config)


BASES = [
    pytest.param(gemma, 24, 6, "last", id="gemma"),
    pytest.param(ultrabert, 12, 3, "last", id="ultrabert"),
    pytest.param(modernbert, 12, 3, "first", id="modernbert"),
]


@pytest.mark.parametrize(("make", "layers", "period", "phase"), BASES)
@pytest.mark.parametrize("cadence", ["strict", "anchored", "free", "periodic"])
def test_a_cut_has_the_rhythm_that_its_space_says(
    make: Callable[[], PreTrainedModel],
    layers: int,
    period: int,
    phase: Phase,
    cadence: str,
    tmp_path: Path,
) -> None:
    """By position, as the module computes it, and as its file is read."""
    base = make()
    encoder = Encoder.of(base, own_rhythm=cadence == "periodic")
    rng = random.Random(0)

    for depth in (2, 4, 7):
        space = LayerSpace(layers, depth, period, cadence, keep_first=False, phase=phase)
        for subset in [space.sample(rng) for _ in range(3)]:
            rhythm = space.cut_rhythm(subset)
            assert rhythm is not None
            expected = [GLOBAL if rhythm.is_global(i) else LOCAL for i in range(depth)]
            if cadence in ("strict", "periodic"):
                assert expected == [base.config.layer_types[layer] for layer in subset]

            cut, _ = encoder.cut(subset)
            cut.save_pretrained(tmp_path / "cut")
            assert cut.config.layer_types == expected
            assert AutoConfig.from_pretrained(tmp_path / "cut").layer_types == expected
            found = encoder.cut_rhythm(subset)
            assert found is not None
            assert [found.is_global(i) for i in range(depth)] == [t == GLOBAL for t in expected]


def test_free_without_a_rhythm_lets_each_layer_keep_its_attention() -> None:
    encoder = Encoder.of(gemma(), rhythm=False)
    cut, _ = encoder.cut((4, 5, 11, 12))
    assert encoder.rhythm is None
    assert cut.config.layer_types == [LOCAL, GLOBAL, GLOBAL, LOCAL]


@pytest.fixture(scope="module", params=["gemma3_text", "modernbert", "ultrabert"])
def periodic(
    request: pytest.FixtureRequest,
    toy_words: list[str],
    small_toy: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> RetrievalEvaluator:
    """An evaluator whose cut models may have a rhythm of their own, over a base of period 3."""
    family = next(one for one in FAMILIES if one.kind == request.param)
    if family.kind == "gemma3_text":
        family = replace(
            family, changes={**family.changes, "layer_types": [LOCAL, LOCAL, GLOBAL] * 2}
        )

    folder = tmp_path_factory.mktemp("periodic") / "base"
    base = write_base(family, toy_words, folder)
    return retrieval.build(small_toy, base=base, own_rhythm=True)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_periodic_screen_scores_as_cutting_does(periodic: RetrievalEvaluator) -> None:
    about = periodic.description
    assert about.period == 3
    space = LayerSpace(6, 3, 3, "periodic", keep_first=False, phase=about.phase)
    everything = ScreenOptions(queries=10_000, documents=100_000)

    found = {one.subset: one.ndcg for one in periodic.screen(PrefixTree((space,)), everything)}

    assert set(found) == set(space)
    for subset in random.Random(0).sample(sorted(space), 4):
        assert found[subset] == pytest.approx(periodic.evaluate(subset, 0).mean, abs=1e-6)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_an_older_reader_sees_the_own_rhythm(
    depth: int, periodic: RetrievalEvaluator, tmp_path: Path
) -> None:
    """Readers before `layer_types` compute the types from one period."""
    about = periodic.description
    space = LayerSpace(6, depth, 3, "periodic", keep_first=False, phase=about.phase)

    for number, subset in enumerate(random.Random(1).sample(sorted(space), 3)):
        folder = periodic.export(subset, tmp_path / str(number), "# A card\n")
        path = folder / "config.json"
        config = json.loads(path.read_text())
        types, rope = config["layer_types"], config["rope_parameters"]
        if config["model_type"] != "ultrabert":  # whose every reader knows them
            del config["layer_types"], config["rope_parameters"]
        path.write_text(json.dumps(config))

        older = AutoConfig.from_pretrained(folder)
        assert older.layer_types == types
        assert older.rope_parameters == rope
