"""Fixtures for tests of the screen."""

from pathlib import Path

import pytest

from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import retrieval


@pytest.fixture(scope="session")
def screener(small_toy: Path) -> RetrievalEvaluator:
    """An evaluator that can screen, with a supernet, too."""
    return retrieval.build(small_toy, {"steps": 3})
