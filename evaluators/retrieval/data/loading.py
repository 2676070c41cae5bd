"""All data of one evaluator, loaded once per process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset

from evaluators.retrieval.data.collection import Collection
from evaluators.retrieval.data.fingerprints import fingerprint_collections, fingerprint_pairs
from evaluators.retrieval.data.heldout import require_other_queries, require_other_tasks
from evaluators.retrieval.data.pairs import training_pairs
from evaluators.retrieval.data.test_sets import find_sets, load_sets
from evaluators.retrieval.options import RetrievalOptions


@dataclass(frozen=True, slots=True)
class LoadedData:
    """Data of one evaluator. Held-out sets are not among them: nothing here may score on them.

    Attributes:
        pairs: training data; None when nothing is trained.
        collections: test data.
        fingerprints: SHA-256 by role: `train`, `test`, `heldout`.
    """

    pairs: Dataset | None = None
    collections: tuple[Collection, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, options: RetrievalOptions, folder: Path) -> "LoadedData":
        """Load training and test data, and check held-out sets against the latter.

        Args:
            options: the `[evaluator]` section of the study file.
            folder: folder that relative paths start from.

        Raises:
            InputError: data cannot be loaded or used, or a held-out set shares a task or queries
                with a test set.
        """
        pairs = None
        fingerprints = {}
        if options.steps and options.train:
            pairs = training_pairs(options, options.train, folder)
            fingerprints["train"] = fingerprint_pairs(pairs)

        tests = find_sets(options.test, folder, "evaluator.test")
        kept_apart = find_sets(options.heldout, folder, "evaluator.heldout")
        require_other_tasks(kept_apart, tests)

        collections = load_sets(tests)
        fingerprints["test"] = fingerprint_collections(collections)

        if kept_apart:
            heldout = load_sets(kept_apart)
            require_other_queries(heldout, collections)
            fingerprints["heldout"] = fingerprint_collections(heldout)
        return cls(pairs, tuple(collections), fingerprints)


def heldout_collections(options: RetrievalOptions, folder: Path) -> list[Collection]:
    """Load the held-out sets, for an evaluation after the search.

    Args:
        options: the `[evaluator]` section of the study file.
        folder: folder that relative paths start from.

    Raises:
        InputError: data cannot be loaded, or have no such task.
    """
    return load_sets(find_sets(options.heldout, folder, "evaluator.heldout"))
