"""Training and test data of the evaluator `retrieval`: pairs, and collections of several sets."""

from evaluators.retrieval.data.collection import Collection
from evaluators.retrieval.data.fingerprints import fingerprint_collections, fingerprint_pairs
from evaluators.retrieval.data.loading import LoadedData, heldout_collections
from evaluators.retrieval.data.pairs import training_pairs
from evaluators.retrieval.data.sources import hub_hint, locate
from evaluators.retrieval.data.test_sets import find_sets, load_sets

__all__ = [
    "Collection",
    "LoadedData",
    "find_sets",
    "fingerprint_collections",
    "fingerprint_pairs",
    "heldout_collections",
    "hub_hint",
    "load_sets",
    "locate",
    "training_pairs",
]
