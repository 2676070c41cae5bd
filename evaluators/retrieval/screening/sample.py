"""The sample of each collection, small enough to score thousands of subsets on."""

import random
from collections.abc import Sequence
from dataclasses import replace

from evaluators._options import ScreenOptions
from evaluators.retrieval.data import Collection
from evaluators.retrieval.scoring import answerable_queries


def sample_collections(
    collections: Sequence[Collection], options: ScreenOptions
) -> list[Collection]:
    """Draw part of each collection, the same in every process.

    Args:
        collections: all tasks.
        options: number of queries and documents of each task.

    Returns:
        Collections with some of the queries, all documents that answer them, and some of the
        other documents.

    Raises:
        TrialFailure: a task has no document, or no query with a relevant one.
    """
    return [_sample(whole, options) for whole in collections]


def _sample(whole: Collection, options: ScreenOptions) -> Collection:
    """Draw part of one collection."""
    rng = random.Random(whole.task)

    answerable = sorted(answerable_queries(whole))
    queries = sorted(rng.sample(answerable, min(options.queries, len(answerable))))
    relevant = {query: whole.relevant[query] for query in queries}

    answers = sorted(set().union(*relevant.values()) & set(whole.corpus))
    rest = sorted(set(whole.corpus) - set(answers))
    others = rng.sample(rest, min(max(0, options.documents - len(answers)), len(rest)))

    return replace(
        whole,
        queries={query: whole.queries[query] for query in queries},
        corpus={document: whole.corpus[document] for document in sorted([*answers, *others])},
        relevant=relevant,
    )
