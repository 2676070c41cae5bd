"""Scores every subset of every depth with shared weights, in one walk over their prefix tree.

The hidden states after a prefix are kept while the subsets that begin with it are walked, so each
edge of the tree costs one layer, run once over the sampled texts. Memory is that of the sample's
hidden states times the depth.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from evaluators._options import ScreenOptions
from evaluators._types import PrefixTree, ScreenScore
from evaluators.errors import TrialFailure
from evaluators.retrieval.data import Collection
from evaluators.retrieval.scoring import Prompts, judged, ndcg_by_query
from evaluators.retrieval.stack import Call, SharedStack

Hidden = list[torch.Tensor]
"""Hidden states (texts, tokens, hidden size) of each batch."""
Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]
"""By position, what the stock model passes to the layer there besides hidden states."""


def sample(collections: Sequence[Collection], options: ScreenOptions) -> list[Collection]:
    """Part of each collection, always the same: some queries, what answers them, and others.

    Args:
        collections: all tasks.
        options: number of queries and documents of each task.

    Raises:
        TrialFailure: a task has no document, or no query with a relevant one.
    """
    found = []
    for whole in collections:
        rng = random.Random(whole.task)  # noqa: S311 - reproducible, not secret
        answered = sorted(judged(whole))
        queries = sorted(rng.sample(answered, min(options.queries, len(answered))))
        answers = sorted(
            {d for query in queries for d in whole.relevant[query]} & set(whole.corpus)
        )
        rest = sorted(set(whole.corpus) - set(answers))
        others = rng.sample(rest, min(max(0, options.documents - len(answers)), len(rest)))
        corpus = {name: whole.corpus[name] for name in sorted([*answers, *others])}
        relevant = {query: whole.relevant[query] for query in queries}
        found.append(
            Collection(whole.task, {q: whole.queries[q] for q in queries}, corpus, relevant)
        )
    return found


def _correlation(left: torch.Tensor, right: torch.Tensor) -> float:
    """Pearson's correlation of two matrices; 0 where one of them does not vary."""
    if left.numel() == 1:
        return 0.0
    found = float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])
    return found if math.isfinite(found) else 0.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts of like length that go through the layers together.

    Attributes:
        features: what the tokenizer made of them.
        places: where their embeddings go among those of all texts.
        calls: what comes with the hidden states.
    """

    features: dict[str, Any]
    places: list[int]
    calls: Calls


class Walk:
    """The walk over one tree with one set of weights.

    Args:
        model: retriever with all layers of the base; its stack is taken over.
        stack: that stack.
        collections: what to score on.
        prompts: put before queries and documents.
        batch_size: texts run at once.
        bf16: run matrix products in bfloat16.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        stack: SharedStack,
        collections: Sequence[Collection],
        prompts: Prompts,
        *,
        batch_size: int,
        bf16: bool,
    ) -> None:
        self._model, self._stack, self._bf16 = model, stack, bf16
        self._collections = collections
        self.forwards = 0
        """Layers run so far, each over all texts: the edges walked."""
        self._number = 0
        self._spans: list[tuple[slice, slice]] = []
        self._batches: list[_Batch] = []
        self._roots: Hidden = []
        with torch.inference_mode():
            for collection in collections:
                asked = self._add(collection.queries.values(), "query", prompts.query, batch_size)
                told = self._add(
                    collection.corpus.values(), "document", prompts.document, batch_size
                )
                self._spans.append((asked, told))
            whole = stack.of(tuple(range(len(self._batches[0].calls))))
            parts = [self._embed(batch.features, whole) for batch in self._batches]
            self._reference = self._similarities(parts)

    def run(self, tree: PrefixTree) -> Iterator[ScreenScore]:
        """Scores of all subsets that `tree` wants, depth first.

        Raises:
            TrialFailure: an embedding is not finite.
        """
        yield from self._below((), self._roots, tree)

    def _below(
        self, prefix: tuple[int, ...], hidden: Hidden, tree: PrefixTree
    ) -> Iterator[ScreenScore]:
        """Scores of the subsets that begin with `prefix`, whose hidden states are `hidden`."""
        for layer in tree.children(prefix):
            subset = (*prefix, layer)
            with torch.inference_mode():
                after = self._advance(len(prefix), layer, hidden)
                score = self._score(subset, after) if tree.wanted(subset) else None
            if score is not None:
                yield score
            yield from self._below(subset, after, tree)

    def _add(self, texts: Iterable[str], task: str, prompt: str, batch_size: int) -> slice:
        """Tokenize texts, and record what the stock model does before its first layer.

        Returns:
            Their places among all texts.
        """
        listed, first = list(texts), self._number
        order = sorted(range(len(listed)), key=lambda i: -len(listed[i]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            found = self._model.preprocess(
                [listed[i] for i in chosen], prompt=prompt or None, task=task
            )
            features = {
                name: value.to(self._model.device) if isinstance(value, torch.Tensor) else value
                for name, value in found.items()
            }
            calls, root = self._record(features)
            self._batches.append(_Batch(features, [first + i for i in chosen], calls))
            self._roots.append(root)
        self._number += len(listed)
        return slice(first, self._number)

    def _record(self, features: dict[str, Any]) -> tuple[Calls, torch.Tensor]:
        """What the stock model passes to each position, and the hidden states it begins with."""
        calls: Calls = []
        roots: Hidden = []

        def step(
            _position: int,
            hidden: torch.Tensor,
            *arguments: Any,  # noqa: ANN401 - whatever the stock model passes
            **options: Any,  # noqa: ANN401
        ) -> torch.Tensor:
            calls.append((arguments, options))
            roots.append(hidden)
            return hidden

        self._embed(features, step)
        return calls, roots[0]

    def _embed(self, features: dict[str, Any], step: Call) -> torch.Tensor:
        """Embeddings (texts, size) with `step` in the place of the layers."""
        self._stack.step = step
        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
            embedding: torch.Tensor = self._model(dict(features))["sentence_embedding"]
        return embedding.float()

    def _advance(self, position: int, layer: int, hidden: Hidden) -> Hidden:
        """The hidden states after one more layer."""
        self.forwards += 1
        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
            return [
                self._stack.run(position, layer, states, *arguments, **options)
                for states, (arguments, options) in zip(
                    hidden, (batch.calls[position] for batch in self._batches), strict=True
                )
            ]

    def _similarities(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Cosines (queries, documents) of each task, from the embeddings of each batch."""
        whole = torch.empty(self._number, parts[0].shape[1], device=parts[0].device)
        for batch, part in zip(self._batches, parts, strict=True):
            whole[batch.places] = part
        whole = torch.nn.functional.normalize(whole, dim=1)
        return [whole[asked] @ whole[told].T for asked, told in self._spans]

    def _score(self, subset: tuple[int, ...], hidden: Hidden) -> ScreenScore:
        """Score of the subset whose hidden states are `hidden`."""
        similarities = self._similarities(
            [
                self._embed(batch.features, lambda *_, after=states, **__: after)
                for states, batch in zip(hidden, self._batches, strict=True)
            ]
        )
        if not all(torch.isfinite(found).all() for found in similarities):
            message = f"embeddings of {subset} are not numbers"
            raise TrialFailure(message)
        tasks = [
            fmean(ndcg_by_query(found, list(part.queries), list(part.corpus), part).values())
            for found, part in zip(similarities, self._collections, strict=True)
        ]
        agreement = [
            _correlation(found, reference)
            for found, reference in zip(similarities, self._reference, strict=True)
        ]
        return ScreenScore(subset, fmean(tasks), fmean(agreement))
