"""The cost of a cut: against torch's own counter and an export, and timed with a fake clock."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel, PreTrainedModel

from evaluators._options import BaseOptions
from evaluators.retrieval import cost, export
from evaluators.retrieval.base import LoadedBase
from evaluators.retrieval.data import Collection
from evaluators.retrieval.surgery import find_stack

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 40}


def make(kind: str) -> PreTrainedModel:
    """Return a small encoder of three layers, whose attention is made of counted products."""
    keys: dict[str, Any] = {**SIZES, "num_hidden_layers": 3, "attn_implementation": "eager"}
    model: PreTrainedModel
    if kind == "bert":
        model = BertModel(BertConfig(**keys))
    else:
        keys |= {"local_attention": 8, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}
        model = ModernBertModel(ModernBertConfig(**keys))
    model.train(mode=False)
    return model


@pytest.mark.parametrize("length", [5, 24])
@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_operations_are_those_that_torch_counts(kind: str, length: int) -> None:
    model = make(kind)
    layers = model.get_submodule(find_stack(model))
    inside = list(layers.children())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.ones(1, length, dtype=torch.long))

    names = {f"{type(model).__name__}.{name}" for name, m in model.named_modules() if m in inside}
    counted = [sum(found.values()) for n, found in counter.get_flop_counts().items() if n in names]
    assert len(counted) == 3
    assert sum(counted) == length * cost.flops_per_token(layers, model.config, length)


def test_layers_without_attention_have_no_products_of_it() -> None:
    model = make("modernbert")
    layers = model.get_submodule(find_stack(model))
    all_attend = cost.flops_per_token(layers, model.config, 10)
    model.config.layer_types = ["conv", "full_attention", "conv"]
    assert all_attend - cost.flops_per_token(layers, model.config, 10) == 2 * 4 * 10 * 32


@pytest.fixture(scope="module")
def base(minilm: Path) -> LoadedBase:
    """all-MiniLM-L6-v2."""
    options = BaseOptions(model=str(minilm), query_length=16, document_length=64)
    return LoadedBase.load(options, minilm.parent, "cpu")


def test_parameters_add_up(base: LoadedBase) -> None:
    model, _ = base.cut((0, 5))
    found = cost.count(model, base.encoder.stack, 16, 64)

    assert found.parameters == sum(weight.numel() for weight in model.parameters())
    assert found.embedding_parameters == (30522 + 512 + 2) * 384
    assert found.layer_parameters == 2 * (4 * 384 * 385 + 2 * 384 * 1536 + 1536 + 384 + 4 * 384)
    rest = found.parameters - found.embedding_parameters - found.layer_parameters
    assert rest == 2 * 384 + 384 * 385  # a norm and the pooler


def test_longer_texts_cost_more_by_their_attention(base: LoadedBase) -> None:
    model, _ = base.cut((0, 5))
    found = cost.count(model, base.encoder.stack, 16, 64)
    assert found.document_flops - found.query_flops == 2 * 4 * (64 - 16) * 384


@pytest.mark.slow
def test_bytes_are_those_of_an_export(base: LoadedBase, tmp_path: Path) -> None:
    model, _ = base.cut((0, 5))
    expected = cost.count(model, base.encoder.stack, 16, 64).bytes
    folder = export.write(model, tmp_path / "m", "card", None)

    written = 0
    for path in folder.rglob("*.safetensors"):
        with path.open("rb") as file:
            (header,) = struct.unpack("<Q", file.read(8))
            json.loads(file.read(header))
        written += path.stat().st_size - 8 - header
    assert written == expected


# speed


class Clocked(cost.Stopwatch):
    """A stopwatch on which the whole base takes 6 seconds a text, and the cut 2."""

    __slots__ = ()

    def _seconds(self, model: SentenceTransformer, texts: Sequence[str]) -> float:
        return len(texts) * (6.0 if model.whole else 2.0)


def models(base: LoadedBase) -> tuple[SentenceTransformer, SentenceTransformer]:
    """Return a cut and the whole base, marked as such."""
    cut, whole = base.cut((0, 5))[0], base.whole()
    cut.whole, whole.whole = False, True  # type: ignore[assignment]
    return cut, whole


def watch(kind: type[cost.Stopwatch], texts: Sequence[str], batch_size: int) -> cost.Stopwatch:
    """Return a stopwatch over `texts`."""
    return kind(documents=texts, batch_size=batch_size, bf16=False)


def test_ratios_are_of_the_whole_base_over_the_cut(base: LoadedBase) -> None:
    events: list[tuple[str, int, int]] = []
    speed = watch(Clocked, ["a dog"] * 8, 4).compare(
        *models(base), lambda *event: events.append(event)
    )

    assert speed.ratios == (3.0,) * cost.ROUNDS
    assert (speed.documents, speed.batch_size, speed.precision) == (4, 4, "fp32")
    assert speed.tokens_per_second == 4 * 4 / (4 * 2)  # two words, a beginning and an end
    assert speed.reference_tokens_per_second == 4 * 4 / (4 * 6)
    assert events == [("measure", done, cost.ROUNDS) for done in range(cost.ROUNDS + 1)]


@pytest.mark.slow
def test_fast_models_get_more_documents(base: LoadedBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "ROUNDS", 1)
    monkeypatch.setattr(cost, "SECONDS", 1e9)
    speed = watch(cost.Stopwatch, ["a dog"] * 11, 2).compare(*models(base))
    assert speed.documents == 11
    assert speed.ratios[0] > 0
    assert speed.threads == torch.get_num_threads()


def test_batches_shrink_when_memory_runs_out(base: LoadedBase) -> None:
    class Small(Clocked):
        __slots__ = ()

        def _seconds(self, model: SentenceTransformer, texts: Sequence[str]) -> float:
            if self.batch_size > 2:
                raise torch.OutOfMemoryError
            return 1.0

    assert watch(Small, ["a dog"] * 8, 8).compare(*models(base)).batch_size == 2

    class Full(Clocked):
        __slots__ = ()

        def _seconds(self, model: SentenceTransformer, texts: Sequence[str]) -> float:
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        watch(Full, ["a dog"] * 8, 8).compare(*models(base))


def test_documents_are_drawn_from_all_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    collections = [
        Collection(task, {}, {str(n): f"{task}{n}" for n in range(5)}, {}) for task in ("a", "b")
    ]
    drawn = cost.draw_documents(collections)
    assert sorted(drawn) == sorted(text for one in collections for text in one.corpus.values())
    assert cost.draw_documents(collections) == drawn
    monkeypatch.setattr(cost, "DOCUMENTS", 3)
    assert len(set(cost.draw_documents(collections))) == 3


def test_a_device_has_a_name() -> None:
    assert cost.device_name("cpu").strip() not in ("", "cpu")
    assert "  " not in cost.device_name("cpu")
