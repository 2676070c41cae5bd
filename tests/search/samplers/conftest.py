"""Fixtures of the contract that every sampler keeps."""

import pytest

from search import samplers


@pytest.fixture(params=samplers.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each sampler there is, also one that is added later."""
    found: str = request.param
    return found
