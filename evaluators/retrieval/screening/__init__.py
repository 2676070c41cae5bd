"""The screen: scores all subsets with weights that they share, before the first trial."""

from evaluators.retrieval.screening.sample import sample_collections
from evaluators.retrieval.screening.stack import SharedStack
from evaluators.retrieval.screening.walk import Walk

__all__ = ["SharedStack", "Walk", "sample_collections"]
