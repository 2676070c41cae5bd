"""Critical values of ties: the published ones, and ties that hold the truly best subset."""

import numpy as np
import pytest
from sqlalchemy import Engine

from storage.leaderboard import rank_subsets
from storage.leaderboard.ties import critical_value
from storage.values.subset_key import format_subset
from tests.support.scores import ScoredTrial, begin_scored, record_trials


@pytest.mark.parametrize(
    ("freedom", "published"),  # Dunnett 1955, table 1a: one-sided, 95 %
    [
        (9999, [1.64, 1.92, 2.06, 2.16, 2.23, 2.29, 2.34, 2.38, 2.42]),
        (12, [1.78, 2.11, 2.29, 2.41, 2.50, 2.58, 2.64, 2.69, 2.74]),
        (2, [2.92]),
        (1, [6.31, 9.51]),
        (20, [1.72, 2.03, 2.19, 2.30, 2.39, 2.46, 2.51, 2.56, 2.60]),
    ],
)
def test_critical_values_are_dunnetts(freedom: int, published: list[float]) -> None:
    found = [critical_value(comparisons, freedom) for comparisons in range(1, len(published) + 1)]
    assert found == pytest.approx(published, rel=0.005)
    assert critical_value(0, freedom) == 0


@pytest.mark.parametrize("freedom", [0, -1])
def test_nothing_is_told_apart_without_degrees_of_freedom(freedom: int) -> None:
    assert critical_value(5, freedom) == 0


@pytest.mark.slow
def test_the_tied_hold_the_best(engine: Engine) -> None:
    """40 small studies with known truth; `benchmarks/ties.py` runs the full ones."""
    rng = np.random.default_rng(0)
    held, sizes = 0, []
    subsets = [(0, a, a + 2) for a in range(1, 11)]

    for number in range(40 if engine.dialect.name == "sqlite" else 4):
        truth = 0.5 + rng.normal(0, 0.03, len(subsets))
        hard = rng.normal(0, 0.35 * 0.85**0.5, 120)
        trials = []
        for subset, true in zip(subsets, truth, strict=True):
            scores = (true + hard + rng.normal(0, 0.35 * 0.15**0.5, 120)).tolist()
            trials.append(ScoredTrial(subset, 0, {"a": scores[:60], "b": scores[60:]}))

        study = begin_scored(engine, f"s{number}")
        record_trials(engine, study, trials)
        tied = {row["subset"] for row in rank_subsets(engine, study.name, 3) if row["tied"]}
        held += format_subset(subsets[int(np.argmax(truth))]) in tied
        sizes.append(len(tied))

    assert held >= 0.9 * len(sizes)
    assert np.median(sizes) <= 8
