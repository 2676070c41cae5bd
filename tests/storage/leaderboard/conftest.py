"""Fixtures of the leaderboard's tests."""

import pytest
from sqlalchemy import Engine

from tests.support.card import record_card


@pytest.fixture
def replayed(engine: Engine, card_rows: list[dict[str, str]]) -> Engine:
    """A store in which every row of the model card is a trial."""
    record_card(engine, card_rows)
    return engine
