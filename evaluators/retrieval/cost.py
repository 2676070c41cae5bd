"""The cost of a cut model: its size, its arithmetic, and its speed against the whole base.

Notation
    n       tokens of a text, the longest that the study reads
    P       weights of the linear maps of a layer
    d       width of its attention: heads times the width of a head

A linear map costs a multiplication and an addition per weight and token. Attention compares each of
the n tokens with all n, over d numbers, and sums as many values, so that a text costs 4 n^2 d and a
token 4 n d. The floating-point operations (FLOPs) of a token are

    F(n) = sum over the layers of 2 P + 4 n d

as in Kaplan et al. (2020, arXiv 2001.08361, table 1). Left out are all but matrix products of the
layers: embeddings, norms, activations, softmax, rotations of positions, convolutions, what families
add to the products of attention (such as relative positions in DeBERTa), poolers and heads. A local
layer counts as a global one, as it is computed where no kernel skips what lies outside its window.
"""

import platform
import random
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from evaluators._types import Cost, Progress, Speed, silent
from evaluators.retrieval import device
from evaluators.retrieval.data import Collection
from evaluators.retrieval.surgery.shortening import count_layers, layer_types, text_setting

ROUNDS = 7
"""Ratios whose median counts: three of them may be disturbed by something else on the machine."""

SECONDS = 0.5
"""Least time of the whole base in a round: a heuristic, long against the pauses of an idle machine
and short enough for a few rounds of each depth.
"""

FEWEST, DOCUMENTS = 8, 2048
"""Fewest and most documents of a round: a batch in which a processor is as fast as in a larger one,
and enough to keep a fast GPU busy for about `SECONDS`.
"""

_CPU_NAME = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


# --- size and arithmetic


def count(model: SentenceTransformer, stack: str, query_length: int, document_length: int) -> Cost:
    """Count parameters, bytes and operations of a retriever.

    Args:
        model: the retriever.
        stack: name of the module list that holds the layers of its encoder.
        query_length: tokens of the longest query.
        document_length: tokens of the longest document.
    """
    encoder: PreTrainedModel = model[0].auto_model  # type: ignore[assignment]
    layers = encoder.get_submodule(stack)
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    inside = {id(weight) for weight in layers.parameters()}
    embeddings = {id(table.weight): table.weight.numel() for table in tables}

    return Cost(
        parameters=sum(weight.numel() for weight in model.parameters()),
        embedding_parameters=sum(n for name, n in embeddings.items() if name not in inside),
        layer_parameters=sum(weight.numel() for weight in layers.parameters()),
        bytes=_bytes(model),
        query_flops=flops_per_token(layers, encoder.config, query_length),
        document_flops=flops_per_token(layers, encoder.config, document_length),
    )


def _bytes(model: SentenceTransformer) -> int:
    """Return the bytes of all weights and stored buffers, each shared one once."""
    tensors = {tensor.data_ptr(): tensor for tensor in model.state_dict().values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def flops_per_token(layers: nn.Module, config: PreTrainedConfig, length: int) -> int:
    """Return F(n), the operations of the layers' matrix products per token.

    Args:
        layers: the module list that holds the layers.
        config: configuration of the encoder.
        length: number n of tokens in a text.
    """
    weights = sum(
        module.weight.numel()
        for module in layers.modules()
        if isinstance(module, (nn.Linear, Conv1D))
    )

    heads = int(text_setting(config, "num_attention_heads"))
    head = text_setting(config, "head_dim") or text_setting(config, "hidden_size") // heads
    kinds = layer_types(config)
    attending = sum("attention" in kind for kind in kinds) if kinds else count_layers(config) or 0

    width: int = heads * head
    return 2 * weights + 4 * length * width * attending


# --- speed


def device_name(name: str) -> str:
    """Return the model of the device `name`: of the GPU, or of the processor."""
    if name != "cpu":
        return device.label(name)

    about = Path("/proc/cpuinfo")
    found = _CPU_NAME.search(about.read_text(encoding="utf-8")) if about.is_file() else None
    return " ".join(found[1].split()) if found else platform.processor() or platform.machine()


def draw_documents(collections: Sequence[Collection]) -> list[str]:
    """Draw documents of all collections at random, the same for the same collections."""
    texts = [text for collection in collections for text in collection.corpus.values()]
    return random.Random(0).sample(texts, min(DOCUMENTS, len(texts)))


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """The way in which two retrievers are timed: as stock libraries encode, tokens and all.

    Attributes:
        documents: texts to encode; as many of them as take `SECONDS`.
        batch_size: texts encoded at once.
        bf16: run matrix products in bfloat16.
    """

    documents: Sequence[str]
    batch_size: int
    bf16: bool

    def compare(
        self, cut: SentenceTransformer, whole: SentenceTransformer, progress: Progress = silent
    ) -> Speed:
        """Time both in turn, as often as `ROUNDS` says; half the batch when memory runs out.

        Args:
            cut: the cut model.
            whole: the whole base, on the same device.
            progress: called after every round, with the stage `measure`.

        Raises:
            RuntimeError: memory ran out with single texts, too; or a MemoryError.
        """
        fitting = self
        while True:
            try:
                return fitting._compare(cut, whole, progress)
            except (RuntimeError, MemoryError) as error:
                if not device.is_out_of_memory(error) or fitting.batch_size == 1:
                    raise

            fitting = replace(fitting, batch_size=fitting.batch_size // 2)
            device.free_memory()  # out here, where no traceback holds tensors any more

    def _compare(
        self, cut: SentenceTransformer, whole: SentenceTransformer, progress: Progress
    ) -> Speed:
        """Time both in turn; either is the first of every other round, should heat slow one."""
        progress("measure", 0, ROUNDS)
        texts = self._enough(whole)
        self._seconds(cut, texts)  # the first time is not like the others

        taken: dict[int, list[float]] = {0: [], 1: []}
        for number in range(ROUNDS):
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                taken[place].append(self._seconds((cut, whole)[place], texts))
            progress("measure", number + 1, ROUNDS)

        tokens = self._count_tokens(whole, texts)
        return Speed(
            device=device_name(whole.device.type),
            ratios=tuple(slow / fast for fast, slow in zip(*taken.values(), strict=True)),
            tokens_per_second=tokens / statistics.median(taken[0]),
            reference_tokens_per_second=tokens / statistics.median(taken[1]),
            documents=len(texts),
            batch_size=min(self.batch_size, len(texts)),
            threads=torch.get_num_threads(),
            precision="bf16" if self.bf16 else "fp32",
        )

    def _enough(self, whole: SentenceTransformer) -> Sequence[str]:
        """Return as many documents as the whole base takes `SECONDS` for."""
        number = min(self.batch_size, FEWEST)
        while True:
            texts = self.documents[:number]
            self._seconds(whole, texts)
            if self._seconds(whole, texts) >= SECONDS or number >= len(self.documents):
                return texts
            number *= 2

    def _seconds(self, model: SentenceTransformer, texts: Sequence[str]) -> float:
        """Return how long `model` takes to encode `texts` into arrays on the host."""
        kind = model.device.type
        start = time.perf_counter()
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self.bf16):
            model.encode_document(
                list(texts),
                batch_size=self.batch_size,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return time.perf_counter() - start

    def _count_tokens(self, model: SentenceTransformer, texts: Sequence[str]) -> int:
        """Return the tokens of `texts`, each cut off at the longest length."""
        prompt = model.prompts["document"]
        inputs = [model.preprocess([text], prompt=prompt, task="document") for text in texts]
        return sum(int(one["attention_mask"].sum()) for one in inputs)
