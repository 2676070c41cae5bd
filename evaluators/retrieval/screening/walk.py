"""The walk over the prefix tree of all subsets, which scores each with shared weights.

The hidden states after each layer of a subset are kept for the next one, which runs only the layers
from which on it differs. Memory is that of the sample's hidden states times the depth.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from evaluators._errors import TrialFailure
from evaluators._types import ScreenScore, SubsetTree
from evaluators.retrieval.data import Collection
from evaluators.retrieval.scoring import ndcg_by_query
from evaluators.retrieval.screening.calls import Call, arguments_by_layer, call_at
from evaluators.retrieval.screening.stack import SharedStack, Step

Hidden = list[torch.Tensor]
"""Hidden states (texts, tokens, hidden size) of each batch."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts of like length that go through the layers together.

    Attributes:
        features: the tokenizer's output for them.
        places: index of each text among all texts.
        calls: arguments of each layer of the base besides hidden states.
        root: hidden states (texts, tokens, hidden size) before the first layer.
    """

    features: dict[str, Any]
    places: list[int]
    calls: list[Call]
    root: torch.Tensor


class Walk:
    """The walk over one tree with one set of weights.

    Args:
        model: retriever with all layers of the base; its stack is taken over.
        stack: that stack.
        collections: the tasks to score on, with the corpus of each in ascending order of ids.
        batch_size: texts run at once.
        bf16: run matrix products in bfloat16.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        stack: SharedStack,
        collections: Sequence[Collection],
        *,
        batch_size: int,
        bf16: bool,
    ) -> None:
        self._model, self._stack = model, stack
        self._batch_size, self._bf16 = batch_size, bf16
        self._collections = collections
        self.forwards = 0
        """Layers run so far, each over all texts."""

        self._texts = 0
        self._batches: list[_Batch] = []
        self._base_embeddings: list[torch.Tensor] = []
        self._spans: list[tuple[slice, slice]] = []
        with torch.inference_mode():
            for part in collections:
                queries = self._add_texts(part.queries.values(), "query")
                documents = self._add_texts(part.corpus.values(), "document")
                self._spans.append((queries, documents))

            self._by_layer = arguments_by_layer(self._batches[0].calls, stack.types)
            self._base_similarities = self._similarities(self._base_embeddings)

    def run(self, tree: SubsetTree) -> Iterator[ScreenScore]:
        """Score all subsets of `tree`, in its order.

        Args:
            tree: the subsets.

        Raises:
            TrialFailure: an embedding is not finite.
        """
        path: tuple[int, ...] = ()
        states: list[Hidden] = [[batch.root for batch in self._batches]]  # after each of `path`
        for subset in tree.order():
            shared = _shared_layers(path, subset)
            del states[shared + 1 :]
            with torch.inference_mode():
                for position in range(shared, len(subset)):
                    states.append(self._run_layer(position, subset[position], states[-1]))
                score = self._score(subset, states[-1])

            path = subset
            yield score

    def _run_layer(self, position: int, layer: int, hidden: Hidden) -> Hidden:
        """Return the hidden states after one more layer."""
        self.forwards += 1
        place = self._stack.place(position, layer)
        calls = [call_at(place, layer, batch.calls, self._by_layer) for batch in self._batches]

        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
            return [
                self._stack.run(place, layer, states, *arguments, **options)
                for states, (arguments, options) in zip(hidden, calls, strict=True)
            ]

    # --- before the walk

    def _add_texts(self, texts: Iterable[str], task: str) -> slice:
        """Tokenize texts, and record the work of the stock model before its first layer.

        Returns:
            Their places among all texts.
        """
        listed, first = list(texts), self._texts
        # texts of like length share a batch, so that little of it is padding
        order = sorted(range(len(listed)), key=lambda i: -len(listed[i]))

        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            features = self._tokenize([listed[i] for i in chosen], task)
            calls, root = self._record_calls(features)
            self._batches.append(_Batch(features, [first + i for i in chosen], calls, root))

        self._texts += len(listed)
        return slice(first, self._texts)

    def _tokenize(self, texts: list[str], task: str) -> dict[str, Any]:
        """Return the tokenizer's output for texts behind their prompt, on the model's device."""
        features = self._model.preprocess(texts, prompt=self._model.prompts[task], task=task)
        return {
            name: value.to(self._model.device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }

    def _record_calls(self, features: dict[str, Any]) -> tuple[list[Call], torch.Tensor]:
        """Record the arguments of each layer, and the hidden states before the first.

        All layers of the base are run for that; the embeddings they give are kept, too.
        """
        calls: list[Call] = []
        roots: Hidden = []  # one entry: states after every layer would fill the memory

        def step(
            position: int,
            hidden: torch.Tensor,
            *arguments: Any,
            **options: Any,
        ) -> torch.Tensor:
            calls.append((arguments, options))
            if not roots:
                roots.append(hidden)
            return self._stack.run(position, position, hidden, *arguments, **options)

        self._base_embeddings.append(self._embed(features, step))
        return calls, roots[0]

    # --- one subset

    def _score(self, subset: tuple[int, ...], hidden: Hidden) -> ScreenScore:
        """Score the subset whose last hidden states are `hidden`."""
        embeddings = [
            # the layers are done: each position returns the states after the last of them
            self._embed(batch.features, lambda *_, after=states, **__: after)
            for states, batch in zip(hidden, self._batches, strict=True)
        ]

        similarities = self._similarities(embeddings)
        if not all(torch.isfinite(found).all() for found in similarities):
            message = f"embeddings of {subset} are not numbers"
            raise TrialFailure(message)

        ndcgs = [
            fmean(ndcg_by_query(found, list(part.queries), list(part.corpus), part).values())
            for found, part in zip(similarities, self._collections, strict=True)
        ]
        correlations = [
            _correlation(found, reference)
            for found, reference in zip(similarities, self._base_similarities, strict=True)
        ]

        shares = [part.share for part in self._collections]
        return ScreenScore(subset, fmean(ndcgs, shares), fmean(correlations, shares))

    def _embed(self, features: dict[str, Any], step: Step) -> torch.Tensor:
        """Return embeddings (texts, size) with `step` in the place of the layers."""
        self._stack.step = step
        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
            embeddings: torch.Tensor = self._model(dict(features))["sentence_embedding"]
        return embeddings[:, : self._model.truncate_dim].float()

    def _similarities(self, embeddings: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the similarities (queries, documents) of each task.

        Args:
            embeddings: (texts, size) of each batch.
        """
        first = embeddings[0]
        whole = torch.empty(self._texts, first.shape[1], device=first.device)
        for batch, part in zip(self._batches, embeddings, strict=True):
            whole[batch.places] = part

        return [
            self._model.similarity(whole[queries], whole[documents])
            for queries, documents in self._spans
        ]


def _shared_layers(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Return the number of layers that two subsets both begin with."""
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _correlation(left: torch.Tensor, right: torch.Tensor) -> float:
    """Return Pearson's correlation of two matrices; 0 where one of them does not vary."""
    if left.numel() == 1:
        return 0.0

    found = float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])
    return found if math.isfinite(found) else 0.0
