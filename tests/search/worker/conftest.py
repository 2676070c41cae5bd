"""Sessions of workers on a real store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from search.worker.session import Session, begin_session
from tests.support.workers import Begin, Sums, study_file


@pytest.fixture
def begin(engine: Engine, tmp_path: Path) -> Iterator[Begin]:
    """Function that begins or joins the study with an evaluator, as a new worker would."""
    begun: list[Session] = []

    def join(
        evaluator: Sums | None = None,
        only: list[int] | None = None,
        budget: int | None = None,
        **changed: Any,
    ) -> Session:
        file, used = study_file(**changed), evaluator or Sums()
        begun.append(begin_session(engine, file, tmp_path, used, depths=only, trials=budget))
        return begun[-1]

    yield join
    for session in begun:
        session.mirror.close()
