"""NDCG@10 per query, equal to the mean that `NanoBEIREvaluator` reports."""

import logging
from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

from evaluators._types import TaskScore
from evaluators.errors import TrialFailure
from evaluators.retrieval.data import Collection

CUTOFF = 10
logging.getLogger(InformationRetrievalEvaluator.__module__).setLevel(logging.WARNING)


class QueryNDCG(InformationRetrievalEvaluator):
    """The library's own encoding, ranking and tie-breaking; NDCG@10 is kept for each query."""

    def __init__(
        self, collection: Collection, batch_size: int, query_prompt: str, document_prompt: str
    ) -> None:
        super().__init__(
            collection.queries,
            collection.corpus,
            collection.relevant,
            name=collection.task,
            batch_size=batch_size,
            query_prompt=query_prompt or None,
            corpus_prompt=document_prompt or None,
            mrr_at_k=[CUTOFF],
            ndcg_at_k=[CUTOFF],
            accuracy_at_k=[CUTOFF],
            precision_recall_at_k=[CUTOFF],
            map_at_k=[CUTOFF],
        )

    def score(self, model: SentenceTransformer) -> TaskScore:
        """Mean NDCG@10 of `model`, and NDCG@10 by query id.

        Raises:
            TrialFailure: the task is empty, or an embedding is not finite.
        """
        if not self.queries or not self.corpus:
            missing = "query with a relevant document" if not self.queries else "document"
            message = f"task {self.name} is empty: it has no {missing}"
            raise TrialFailure(message)
        self.score_functions = {"cosine": model.similarity}
        by_query: dict[str, float] = self.compute_all_metrics(model)["cosine"]
        return TaskScore(sum(by_query.values()) / len(by_query), by_query)

    def compute_metrics(self, queries_result_list: Sequence[Sequence[dict[str, object]]]) -> dict[str, float]:
        """NDCG@10 by query id, from the ranked hits of every query."""
        scores = {}
        for query, hits in zip(self.queries_ids, queries_result_list, strict=True):
            relevant = self.relevant_docs[query]
            gains = [float(hit["corpus_id"] in relevant) for hit in hits[:CUTOFF]]
            ideal = [1.0] * len(relevant)
            scores[query] = float(
                self.compute_dcg_at_k(gains, CUTOFF) / self.compute_dcg_at_k(ideal, CUTOFF)
            )
        return scores

    def output_scores(self, scores: object) -> None:
        """Print nothing."""

    def embed_inputs(
        self, model: SentenceTransformer, sentences: Sequence[str], **kwargs: object
    ) -> torch.Tensor:
        """Embeddings, shape (number of texts, dimension); refused unless all are finite."""
        embeddings: torch.Tensor = super().embed_inputs(model, sentences, **kwargs)
        if not torch.isfinite(embeddings).all():
            message = f"embeddings of task {self.name} are not numbers"
            raise TrialFailure(message)
        return embeddings
