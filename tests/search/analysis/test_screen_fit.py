"""How well a screen predicts the trials, as correlation and recall with intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import Engine

from evaluators import ScreenOptions
from search.analysis import screen_fit
from search.analysis.screen_fit import (
    LEAST_SUBSETS,
    measure_fit,
    measure_fits,
    recall_of_best,
    spearman_correlation,
    store_fits,
)
from search.study.screening import run_screen
from storage.queue import Result
from storage.screens import replace_fits
from storage.studies import StudyRecord, delete_study
from tests.support.screens import SPACES, TOTAL, SumScreener
from tests.support.stores import begin, finish_trial, new_trial, query

FITS = "SELECT study, spearman FROM screen_fits"


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of more than the width of an interval take a tenth of the resamples."""
    monkeypatch.setattr(screen_fit, "_RESAMPLES", 200)


@pytest.fixture
def screened(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3 of ten layers, all of which are screened."""
    study = begin(engine, {2: 99, 3: 99}, layers=10, period=None)
    run_screen(engine, study.id, SPACES, SumScreener(), ScreenOptions())
    return study


def run_trials(engine: Engine, study: StudyRecord, number: int) -> None:
    """Run trials of the first subsets of depth 3, whose scores follow the screen's."""
    for subset in list(SPACES[1])[:number]:
        finish_trial(engine, study, new_trial(subset), Result(0.3 + sum(subset) / 1000))


# the store


@pytest.mark.slow
@pytest.mark.usefixtures("few_resamples")
def test_fits_say_how_well_a_screen_predicts(engine: Engine, screened: StudyRecord) -> None:
    assert measure_fits(engine, screened.id, [2, 3]) == []
    run_trials(engine, screened, 30)
    fits = measure_fits(engine, screened.id, [2, 3])
    ndcg, agreement = fits
    assert (ndcg.depth, ndcg.weights, ndcg.measure, ndcg.subsets) == (3, "untrained", "ndcg", 30)
    assert ndcg.spearman == pytest.approx(1)
    assert agreement.spearman == pytest.approx(-1)
    assert ndcg.recall > 0.8 > agreement.recall
    for fit in fits:
        assert fit.spearman_low <= fit.spearman <= fit.spearman_high
        assert fit.recall_low <= fit.recall <= fit.recall_high

    # they replace earlier ones of the same depth
    replace_fits(engine, screened.id, [2, 3], fits)
    replace_fits(engine, screened.id, [2], [])  # of another depth: these stay
    replace_fits(engine, screened.id, [3], fits)  # in the place of the first
    rows = query(engine, FITS)
    assert [row[0] for row in rows] == ["s", "s"]
    assert sorted(row[1] for row in rows) == pytest.approx([-1, 1])
    assert query(engine, "SELECT count(mean), count(*) FROM screens") == [(30, TOTAL)]

    delete_study(engine, "s")
    assert query(engine, "SELECT count(*) FROM search_screens") == [(0,)]
    assert query(engine, "SELECT count(*) FROM search_screen_fits") == [(0,)]


@pytest.mark.usefixtures("few_resamples")
def test_fits_are_stored_as_they_are_measured(engine: Engine, screened: StudyRecord) -> None:
    run_trials(engine, screened, LEAST_SUBSETS - 1)
    assert store_fits(engine, screened.id, [2, 3]) == []
    assert query(engine, FITS) == []

    for subset in [subset for subset in SPACES[1] if subset[-1] == 9][:2]:
        finish_trial(engine, screened, new_trial(subset), Result(0.5))
    stored = store_fits(engine, screened.id, [2, 3])
    assert [fit.subsets for fit in stored] == [LEAST_SUBSETS + 1] * 2
    assert stored == measure_fits(engine, screened.id, [3])
    rows = query(engine, FITS)
    assert sorted(row[1] for row in rows) == sorted(fit.spearman for fit in stored)


@pytest.mark.usefixtures("few_resamples")
def test_only_screened_subsets_are_measured(engine: Engine, screened: StudyRecord) -> None:
    """A hand-picked one outside the space has no score of the screen."""
    run_trials(engine, screened, LEAST_SUBSETS)
    finish_trial(engine, screened, new_trial((3, 4, 5)), Result(0.9))
    assert [fit.subsets for fit in measure_fits(engine, screened.id, [3])] == [LEAST_SUBSETS] * 2


# the measures


def test_correlation_and_recall_by_hand() -> None:
    trials = np.arange(20.0)
    assert spearman_correlation(trials**3, trials) == pytest.approx(1)
    assert spearman_correlation(np.zeros(20), trials) == 0
    assert spearman_correlation(trials, np.zeros(20)) == 0
    assert recall_of_best(trials, trials) == 1
    assert recall_of_best(-trials, trials) == 0
    assert recall_of_best(np.roll(trials, 5), trials) == 0.5
    assert recall_of_best(-trials[:8], trials[:8]) == 0  # of eight, the best four


def draw(number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predictions that follow the trials in part, and the trials."""
    rng = np.random.default_rng(0)
    trials = rng.normal(size=number)
    return trials + rng.normal(size=number), trials


@pytest.mark.slow
def test_intervals_are_as_wide_as_resampled_subsets_say() -> None:
    predicted, trials = draw(40)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(2000):
        places = rng.integers(0, 40, 40)
        ranks = stats.rankdata([predicted[places], trials[places]], axis=1)
        drawn.append(np.corrcoef(ranks)[0, 1])

    low, high = np.quantile(drawn, [0.025, 0.975])
    fit = measure_fit(3, "untrained", "ndcg", predicted, trials)
    assert (fit.spearman_low, fit.spearman_high) == pytest.approx((low, high), abs=0.05)


@pytest.mark.usefixtures("few_resamples")
def test_intervals_are_drawn_alike_each_time() -> None:
    one, other = (measure_fit(3, "untrained", "ndcg", *draw(12)) for _ in range(2))
    assert one == other
    assert one.subsets == 12
