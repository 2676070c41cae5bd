"""NDCG@10 per query, equal to the mean that `NanoBEIREvaluator` reports."""

import math
from dataclasses import dataclass

import torch
from sentence_transformers import SentenceTransformer

from evaluators._types import TaskScore
from evaluators.errors import TrialFailure
from evaluators.retrieval.data import Collection

CUTOFF = 10
DISCOUNTS = [1 / math.log2(rank + 2) for rank in range(CUTOFF)]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Text put before each query and each document."""

    query: str = ""
    document: str = ""


def score(
    model: SentenceTransformer, collection: Collection, prompts: Prompts, batch_size: int
) -> TaskScore:
    """NDCG@10 of `model` on `collection`: the mean, and by query id.

    Relevance is binary and similarity is cosine; equal similarities are ranked by document id, and
    queries without a relevant document are left out, all as in `NanoBEIREvaluator`.

    Raises:
        TrialFailure: the collection is empty, or an embedding is not finite.
    """
    queries = judged(collection)
    documents = dict(sorted(collection.corpus.items()))  # so that a stable sort breaks ties by id
    asked = model.encode_query(
        list(queries.values()),
        prompt=prompts.query or None,
        batch_size=batch_size,
        convert_to_tensor=True,
        show_progress_bar=False,
    )
    told = model.encode_document(
        list(documents.values()),
        prompt=prompts.document or None,
        batch_size=batch_size,
        convert_to_tensor=True,
        show_progress_bar=False,
    )
    # always in fp32: bfloat16 has 8 bits, in which the best documents of a query tie
    with torch.autocast(asked.device.type, enabled=False):
        similarity = model.similarity(asked.float(), told.float())
    if not torch.isfinite(similarity).all():
        message = f"embeddings of task {collection.task} are not numbers"
        raise TrialFailure(message)
    scores = ndcg_by_query(similarity, list(queries), list(documents), collection)
    return TaskScore(math.fsum(scores.values()) / len(scores), scores)


def judged(collection: Collection) -> dict[str, str]:
    """The queries that have a relevant document, in their order.

    Raises:
        TrialFailure: there is none, or no document at all.
    """
    queries = {
        name: text for name, text in collection.queries.items() if collection.relevant.get(name)
    }
    if not queries or not collection.corpus:
        missing = "document" if queries else "query with a relevant document"
        message = f"task {collection.task} is empty: it has no {missing}"
        raise TrialFailure(message)
    return queries


def ndcg_by_query(
    similarity: torch.Tensor, queries: list[str], documents: list[str], collection: Collection
) -> dict[str, float]:
    """NDCG@10 of each query.

    Args:
        similarity: (queries, documents), finite.
        queries: ids of the rows, each with a relevant document.
        documents: ids of the columns, ascending: equal similarities are ranked in this order.
        collection: says which documents are relevant.
    """
    ranked = torch.sort(similarity, dim=1, descending=True, stable=True).indices
    return {
        query: ndcg(
            [documents[place] in collection.relevant[query] for place in places],
            len(collection.relevant[query]),
        )
        for query, places in zip(queries, ranked[:, :CUTOFF].tolist(), strict=True)
    }


def ndcg(hits: list[bool], relevant: int) -> float:
    """Normalised discounted cumulative gain of the first ten hits, with binary relevance.

    Järvelin and Kekäläinen (2002), with the logarithmic discount that BEIR uses.

    Args:
        hits: whether each ranked document is relevant, best first.
        relevant: number of relevant documents, at least 1.
    """
    gain = sum(discount for discount, hit in zip(DISCOUNTS, hits, strict=False) if hit)
    return gain / sum(DISCOUNTS[:relevant])
