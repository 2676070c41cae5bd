"""The sample: always the same, and with all documents that answer its queries."""

from dataclasses import replace

import pytest

from evaluators import ScreenOptions, TrialFailure
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import sample_collections


def test_the_sample_holds_what_answers_its_queries(screener: RetrievalEvaluator) -> None:
    options = ScreenOptions(queries=3, documents=12)

    parts = sample_collections(screener.collections, options)

    assert sample_collections(screener.collections, options) == parts
    for part, whole in zip(parts, screener.collections, strict=True):
        assert len(part.queries) == 3
        assert len(part.corpus) >= 12 or part.corpus == whole.corpus
        assert list(part.corpus) == sorted(part.corpus)
        for query, answers in part.relevant.items():
            assert query in part.queries
            assert answers & set(whole.corpus) <= set(part.corpus)


def test_a_task_without_answers_is_refused(screener: RetrievalEvaluator) -> None:
    empty = replace(screener.collections[0], relevant={})

    with pytest.raises(TrialFailure, match="is empty: it has no query with a relevant document"):
        sample_collections([empty], ScreenOptions())
