"""Guesses made before the first trial, which count for as much as they predict."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from search.space import Subset
from tests.support.landscapes import (
    SPACE,
    additive,
    fit,
    hint_of,
    observe,
    predict_all,
    truth,
    unrelated,
)


def test_a_hint_that_predicts_is_used_and_one_that_does_not_is_ignored() -> None:
    history = observe(20)
    good = fit(history, [hint_of(additive)])
    assert good.trusts_guidance
    assert good.explained_deviations()["hint 1"] > 0.3 * float(good.trials.means.std())
    assert not fit(history, [hint_of(unrelated)]).trusts_guidance

    both = fit(history, [hint_of(unrelated), hint_of(additive)]).explained_deviations()
    assert both["hint 1"] == 0
    assert both["hint 2"] > 0

    errors = [
        float(np.abs(predict_all(posterior)[0] - truth()).mean())
        for posterior in (good, fit(history))
    ]
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_a_hint_may_know_only_some_subsets() -> None:
    whole = hint_of(additive)

    def some(subsets: Sequence[Subset]) -> NDArray[np.float64]:
        return np.where([3 in subset for subset in subsets], whole(subsets), np.nan)

    posterior = fit(observe(20), [some])
    assert np.isfinite(predict_all(posterior)[0]).all()

    unknown = posterior.surrogate.inputs([s for s in SPACE if 3 not in s])
    assert (unknown.hints == 0).all()
