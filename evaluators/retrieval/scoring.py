"""NDCG@10 per query, equal to the mean that `NanoBEIREvaluator` reports."""

import math

import torch
from sentence_transformers import SentenceTransformer

from evaluators._errors import TrialFailure
from evaluators._types import TaskEvaluation
from evaluators.retrieval import device
from evaluators.retrieval.data import Collection

CUTOFF = 10
"""Ranks that count: BEIR and NanoBEIR report NDCG@10."""
DISCOUNTS = [1 / math.log2(rank + 1) for rank in range(1, CUTOFF + 1)]
"""Weight of a relevant document at each rank, from 1 on."""


def score_within_memory(
    model: SentenceTransformer,
    collection: Collection,
    *,
    batch_size: int,
    bf16: bool,
) -> TaskEvaluation:
    """Score `model` on one task, with half the batch for as long as memory runs out.

    Args:
        model: the retriever, on its device and in evaluation mode.
        collection: the task.
        batch_size: texts encoded at once, in the first attempt.
        bf16: run matrix products in bfloat16.

    Raises:
        TrialFailure: the collection is empty, or an embedding is not finite.
        RuntimeError: memory ran out with single texts, too; or a MemoryError.
    """
    kind = model.device.type
    while True:
        try:
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
                return score(model, collection, batch_size)
        except (RuntimeError, MemoryError) as error:
            if not device.is_out_of_memory(error) or batch_size == 1:
                raise

        batch_size //= 2
        device.free_memory()  # out here, where no traceback holds tensors any more


def score(model: SentenceTransformer, collection: Collection, batch_size: int) -> TaskEvaluation:
    """Score `model` on one task by NDCG@10: the mean, and by query id.

    Prompts, lengths and similarity are the model's own and relevance is binary; equal similarities
    are ranked by document id, and queries without a relevant document are left out, all as in
    `NanoBEIREvaluator`.

    Args:
        model: the retriever.
        collection: the task.
        batch_size: texts encoded at once.

    Raises:
        TrialFailure: the collection is empty, or an embedding is not finite.
    """
    queries = answerable_queries(collection)
    documents = dict(sorted(collection.corpus.items()))  # so that a stable sort breaks ties by id

    query_embeddings = model.encode_query(
        list(queries.values()),
        batch_size=batch_size,
        convert_to_tensor=True,
        show_progress_bar=False,
    )
    document_embeddings = model.encode_document(
        list(documents.values()),
        batch_size=batch_size,
        convert_to_tensor=True,
        show_progress_bar=False,
    )

    # always in fp32: bfloat16 has 8 bits, in which the best documents of a query tie
    with torch.autocast(query_embeddings.device.type, enabled=False):
        similarity = model.similarity(query_embeddings.float(), document_embeddings.float())
    if not torch.isfinite(similarity).all():
        message = f"embeddings of task {collection.task} are not numbers"
        raise TrialFailure(message)

    scores = ndcg_by_query(similarity, list(queries), list(documents), collection)
    return TaskEvaluation(math.fsum(scores.values()) / len(scores), scores)


def answerable_queries(collection: Collection) -> dict[str, str]:
    """Return the queries that have a relevant document, in their order.

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
    """Return the NDCG@10 of each query.

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
    """Return the normalised discounted cumulative gain of a ranking, with binary relevance.

    Järvelin and Kekäläinen (2002), with the logarithmic discount that BEIR uses:

        DCG@10  = sum over ranks i = 1..10 of rel_i / log2(i + 1),  rel_i = 1 if relevant, else 0
        NDCG@10 = DCG@10 / IDCG@10

    where IDCG@10 is the DCG@10 of the best ranking, all relevant documents first.

    Args:
        hits: whether each ranked document is relevant, best first; the first ten count.
        relevant: number of relevant documents, at least 1.
    """
    gain = sum(discount for discount, hit in zip(DISCOUNTS, hits, strict=False) if hit)
    ideal = sum(DISCOUNTS[:relevant])
    return gain / ideal
