"""All measured scores of one subset, for a comparison with another."""

import numpy as np
import pytest
from sqlalchemy import Engine

from storage.errors import InputError, UnscoredSubsetError
from storage.leaderboard import read_measured
from storage.queue import Result
from tests.support.measured import record_runs
from tests.support.stores import begin, finish_trial, new_trial


def test_store_averages_seeds(engine: Engine) -> None:
    study, scores = record_runs(engine)
    found = {subset: read_measured(engine, study, subset) for subset in scores}
    for subset, runs in scores.items():
        measured = found[subset]
        assert (measured.subset, measured.seeds) == (subset, len(runs))
        for field in ("tasks", "queries"):
            each = [getattr(run, field) for run in runs]
            wanted = {place: np.mean([one[place] for one in each]) for place in each[0]}
            assert getattr(measured, field) == pytest.approx(wanted)

    assert found[0, 1].seed_variance is not None
    assert found[0, 1].seed_variance == found[0, 2].seed_variance
    assert found[0, 1, 2].seed_variance is None


def test_subset_without_a_score_is_refused(engine: Engine) -> None:
    study = begin(engine, {2: 9})
    finish_trial(engine, study, new_trial((0, 8)), Result(None, error="the loss is NaN"))
    for subset in ((0, 8), (0, 9)):
        with pytest.raises(InputError) as caught:
            read_measured(engine, study, subset)
        assert caught.type is UnscoredSubsetError
        assert str(caught.value) == f"0_{subset[1]} has no score in study 's'"


def test_evaluator_without_queries_leaves_none(engine: Engine) -> None:
    study = begin(engine, {2: 9})
    finish_trial(engine, study, new_trial((0, 1)), Result(0.5))
    measured = read_measured(engine, study, (0, 1))
    assert (measured.seeds, measured.tasks, measured.queries) == (1, {}, {})
