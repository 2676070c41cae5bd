"""The surrogate: predictions that are honest, also at the extremes of noise."""

import random

import numpy as np
import pytest

from search.observation import Observation
from search.space import LayerSpace
from search.surrogate import Surrogate
from search.surrogate.kernel import COMPONENTS
from tests.support.landscapes import SPACE, additive, fit, observe, predict_all, truth

# predictions


def test_it_learns_an_additive_landscape() -> None:
    posterior = fit(observe(60))
    mean, deviation = predict_all(posterior)
    assert np.corrcoef(mean, truth())[0, 1] > 0.95
    inside = np.abs(mean - truth()) < 2 * deviation
    assert inside.mean() > 0.85  # its intervals are honest

    explained = posterior.explained_deviations()
    assert set(explained) == set(COMPONENTS)
    assert explained["layers"] + explained["smooth"] > 3 * explained["local"]


def test_one_score_has_no_scale() -> None:
    assert Surrogate(SPACE).fit([]) is None
    assert Surrogate(SPACE).fit(observe(1)) is None
    assert Surrogate(SPACE).fit(observe(2)) is not None


def test_joint_predictions_equal_single_ones() -> None:
    posterior = fit(observe(30, noise=0.005))
    subsets = list(SPACE)[::20]
    mean, covariance = posterior.joint(subsets)
    means, deviations = posterior.predict(posterior.surrogate.inputs(subsets))
    np.testing.assert_allclose(mean, means, atol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), deviations, rtol=0.01)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8


def test_leaders_have_the_best_means() -> None:
    posterior = fit(observe(30, noise=0.01))
    means, deviations = posterior.at_scored()
    assert means.shape == deviations.shape == (30,)
    leaders = posterior.leaders(5)
    assert means[leaders].tolist() == sorted(means, reverse=True)[:5]


def test_large_spaces_are_predicted_in_parts() -> None:
    space = LayerSpace(18, 6, 3, "free", keep_first=False)
    assert space.count > 8192  # more than one part
    posterior = fit(observe(20, space=space), space=space)
    mean, deviation = predict_all(posterior)
    some = [0, 8191, 8192, space.count - 1]
    inputs = posterior.surrogate.inputs([space.unrank(rank) for rank in some])
    for whole, part in zip((mean, deviation), posterior.predict(inputs), strict=True):
        np.testing.assert_allclose(whole[some], part, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "fits"),
    [
        (LayerSpace(22, 7), True),
        (LayerSpace(22, 7, 3, "free"), True),  # 54,264 subsets
        (LayerSpace(22, 8, 3, "free"), False),  # 116,280
        (LayerSpace(40, 37, None, "free"), True),  # 9,139
        (LayerSpace(48, 44, None, "free", keep_first=True), False),  # few, but 178,365 x 44 x 48
    ],
)
def test_spaces_that_fit_in_memory(space: LayerSpace, *, fits: bool) -> None:
    assert Surrogate(space).fits_in_memory == fits


def test_the_unconstrained_surrogate_knows_every_subset_of_the_depth() -> None:
    space = LayerSpace(12, 5, 3, "strict", forbidden={7})
    hints = [lambda subsets: np.zeros(len(subsets))]
    surrogate = Surrogate.unconstrained(space, hints, transfer=True)
    assert surrogate.space == LayerSpace(12, 5, 3, "free", keep_first=False)
    assert (surrogate.hints, surrogate.transfer) == (tuple(hints), True)


# pending trials


def test_pending_trials_leave_means_and_take_uncertainty() -> None:
    history = observe(20)
    near = next(subset for subset in SPACE if subset not in {trial.subset for trial in history})
    plain, waiting = fit(history), fit([*history, Observation(near, is_pending=True)])
    inputs = plain.surrogate.inputs([near])
    (mean,), (deviation,) = plain.predict(inputs)
    (same,), (less,) = waiting.predict(inputs)
    assert same == pytest.approx(mean, abs=1e-6)
    assert less < 0.8 * deviation


def test_fantasized_outcomes_average_to_the_prediction() -> None:
    history = observe(20)
    tried = {trial.subset for trial in history}
    pending = [subset for subset in SPACE if subset not in tried][:3]
    posterior = fit([*history, *(Observation(subset, is_pending=True) for subset in pending)])

    inputs = posterior.surrogate.inputs(list(SPACE)[::10])
    half = np.random.default_rng(0).standard_normal((8, 3))
    means, deviation = posterior.fantasize(inputs, np.concatenate([half, -half]))
    expected, same = posterior.predict(inputs)
    assert means.shape == (16, len(inputs))
    np.testing.assert_allclose(means.mean(axis=0), expected, atol=1e-6)
    np.testing.assert_allclose(deviation, same)
    assert means.std(axis=0).max() > 1e-4


# noise


def test_the_noise_is_learned_from_the_subsets_that_are_kept() -> None:
    """Many more subsets than hyperparameters are learned from, two seeds each."""
    space = LayerSpace(14, 6, 3, "free")
    rng = random.Random(5)
    history = [
        Observation(trial.subset, additive(trial.subset) + rng.gauss(0, 0.02))
        for _ in range(2)
        for trial in observe(600, space=space)
    ]
    assert fit(history, space=space).noise == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("seeds", [2, 40])
def test_scores_that_seeds_do_not_change(seeds: int) -> None:
    """Rounding in single precision is more than such a noise."""
    once = observe(330, noise=0.0)
    history = [Observation(one.subset, one.score, seed=n) for one in once for n in range(seeds)]
    posterior = fit(history)
    mean, covariance = posterior.joint(posterior.trials.subsets[:16])
    assert mean == pytest.approx([one.score for one in once[:16]], abs=0.002)
    assert (np.diag(covariance) > 0).all()
    assert np.isfinite(np.sqrt(np.diag(covariance))).all()


def test_noise_that_drowns_the_subsets_is_found_all_the_same() -> None:
    rng = random.Random(0)
    history = [
        Observation(one.subset, 0.4 + rng.gauss(0, 0.05), seed=seed)
        for one in observe(20)
        for seed in range(20)
    ]
    assert fit(history).noise == pytest.approx(0.05, rel=0.15)
