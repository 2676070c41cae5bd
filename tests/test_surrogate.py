"""The surrogate: a proper Gaussian process, whose hints count for what they predict."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from search.samplers import Observation
from search.samplers.gp import GPSampler, improvement
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import Posterior, Surrogate, Trials, transfer
from search.surrogate.covariance import COMPONENTS, between, within
from search.surrogate.features import Encoder
from search.surrogate.learning import LEVEL, Prior, Sample, learn
from search.surrogate.process import Regression, Vector, factor

SPACE = LayerSpace(12, 5, 3, "free")


def additive(subset: Subset) -> float:
    """Early layers help; layer 9 does, too."""
    return 0.3 + sum(0.02 / (1 + layer) for layer in subset) + 0.02 * (9 in subset)


def observed(
    number: int,
    truth: Callable[[Subset], float] = additive,
    *,
    noise: float = 0.001,
    space: LayerSpace = SPACE,
    seed: int = 0,
) -> list[Observation]:
    """Complete trials of different members."""
    rng = random.Random(seed)
    members = [space.unrank(rank) for rank in rng.sample(range(space.count), number)]
    return [Observation(s, "complete", truth(s) + rng.gauss(0, noise)) for s in members]


# features and covariance


@given(
    layers=st.integers(1, 14),
    share=st.floats(0, 1),
    cadence=st.sampled_from(["strict", "free"]),
)
@settings(max_examples=40, deadline=None)
def test_covariances_are_proper(layers: int, share: float, cadence: str) -> None:
    """Symmetric, nowhere negative, and with the diagonal that `within` says."""
    space = LayerSpace(layers, max(1, round(share * layers)), 3, cadence)
    rng = random.Random(0)
    rows = Surrogate(space).rows(sorted({space.sample(rng) for _ in range(20)}))
    for component, diagonal in zip(between(rows, rows), within(rows), strict=True):
        assert np.isfinite(component).all()
        np.testing.assert_allclose(component, component.T, atol=1e-4)
        np.testing.assert_allclose(np.diag(component), diagonal, rtol=1e-4, atol=1e-5)
        lowest = np.linalg.eigvalsh(component.astype(np.float64)).min()
        assert lowest > -1e-4 * max(1.0, float(np.abs(component).max()))


def test_features_are_on_one_scale_over_the_space() -> None:
    every = Encoder(SPACE).everything
    for block in (every.layers, every.smooth, every.order, every.shape):
        assert abs(block.mean(axis=0)).max() < 0.05
        assert 0.8 < (block**2).sum(axis=1).mean() < 1.05  # layer 0 never varies
    assert (every.kept.sum(axis=1) == SPACE.depth).all()


def test_the_members_are_those_of_the_space_in_its_order() -> None:
    assert [tuple(row) for row in Encoder(SPACE).members.tolist()] == list(SPACE)


# the process


def test_predictions_equal_those_of_scikit_learn() -> None:
    """With the same covariance: mean and variance, given scores and noise."""
    rng = np.random.default_rng(0)
    points, others = rng.normal(size=(25, 3)), rng.normal(size=(10, 3))
    scores = np.sin(points).sum(axis=1)
    kernel = RBF(1.3)
    library = GaussianProcessRegressor(kernel, alpha=0.04 + 1e-6, optimizer=None)
    mean, deviation = library.fit(points, scores).predict(others, return_std=True)
    ours = Regression.on(kernel(points).astype(np.float32), scores, np.full(25, 0.04))
    covariance = kernel(others, points).astype(np.float32)
    np.testing.assert_allclose(ours.mean(covariance), mean, atol=1e-3)
    explained = (ours.explained(covariance) ** 2).sum(axis=0)
    np.testing.assert_allclose(1 - explained, deviation**2, atol=1e-3)


def nelder_mead(loss: Callable[[Vector], float], start: Sequence[float]) -> float:
    """The lowest loss that a search without gradients finds."""
    options = {"maxiter": 4000, "maxfev": 4000}
    best = optimize.minimize(loss, start, method="Nelder-Mead", tol=1e-9, options=options)
    return float(best.fun)


def density(total: np.ndarray, scores: np.ndarray, logs: Vector, log_noise: float) -> float:
    """Negative logarithm of the posterior density but for what groups add."""
    far = logs + 0.7
    far = far - far.mean()
    prior = 0.5 * far @ far + 0.5 * ((log_noise - np.log(0.25)) / 0.4) ** 2
    noisy = total + (np.exp(2 * log_noise) + 1e-6) * np.eye(len(scores))
    _, logdet = np.linalg.slogdet(noisy)
    return float(0.5 * scores @ np.linalg.solve(noisy, scores) + 0.5 * logdet + prior)


def test_the_learned_amplitudes_are_the_most_probable_ones() -> None:
    """No other amplitudes that a search without gradients finds are more probable."""
    trials = Trials.of(observed(30), SPACE)
    rows = Surrogate(SPACE).rows(trials.subsets)
    parts = between(rows, rows)[:2]
    scores = (trials.means - trials.means.mean()) / trials.means.std()
    found = learn(Sample(parts, scores, trials.counts, 0.0, (30,)), Prior((-0.7, -0.7)))

    def loss(at: Vector) -> float:
        total = np.tensordot(np.exp(2 * at[:2]), parts, 1) + LEVEL
        return density(total, scores, at[:2], at[2])

    assert found.loss == pytest.approx(nelder_mead(loss, [-0.5, -0.5, -1.5]), abs=0.01)


def test_what_depths_have_in_common_is_the_most_probable_too() -> None:
    """One other depth: a scale of its own, and a part in common of each component."""
    shallow = LayerSpace(12, 3, 3, "free")
    here = Trials.of(observed(15, noise=0.003), SPACE)
    there = Trials.of(
        observed(25, lambda s: additive(s) + 0.01 * (11 in s), space=shallow), shallow
    )
    rows = [Surrogate(space).rows(one.subsets) for space, one in ((shallow, there), (SPACE, here))]
    parts = [part[:2] for part in (between(rows[0], rows[0]), between(rows[1], rows[1]))]
    mixed = between(rows[0], rows[1])[:2]
    stack = [
        np.block([[parts[0][i], mixed[i]], [mixed[i].T, parts[1][i]]]).astype(np.float64)
        for i in (0, 1)
    ]
    scores = np.concatenate([there.means - there.means.mean(), here.means - here.means.mean()])
    scores /= scores.std()
    sample = Sample(stack, scores, np.ones(40), 0.0, (25, 15))  # type: ignore[arg-type]
    found = learn(sample, Prior((-0.7, -0.7)))
    apart = learn(sample, Prior((-0.7, -0.7)), kin=False)
    first = np.arange(40) < 25
    same = np.equal.outer(first, first)

    def loss(at: Vector) -> float:
        at = np.clip(at, [-6, -6, -4, -1, 0.001, 0.001], [1.5, 1.5, 1, 1, 0.99, 0.99])
        scale = np.where(first, np.exp(at[3]), 1.0)
        total = sum(
            np.exp(2 * at[i]) * stack[i] * np.where(same, 1.0, at[4 + i]) * np.outer(scale, scale)
            for i in (0, 1)
        )
        return density(total + LEVEL * same, scores, at[:2], at[2]) + 0.5 * (at[3] / 0.3) ** 2

    best = min(nelder_mead(loss, [-0.5, -0.5, -1.5, 0.0, *kin]) for kin in ((0.5, 0.5), (0.9, 0.9)))
    assert found.loss < best + 0.02
    logs = (np.log(found.variances) / 2, [np.log(found.noise) / 2], np.log(found.scales[:1]))
    assert found.loss == pytest.approx(loss(np.concatenate([*logs, found.kinship[0]])), abs=1e-6)
    assert found.loss < apart.loss - 3  # they do share effects
    assert (apart.kinship[0] == 0).all()
    assert (found.kinship[-1] == 1).all()


def test_it_learns_an_additive_landscape() -> None:
    posterior = Surrogate(SPACE).fit(observed(60))
    assert posterior is not None
    mean, deviation = posterior.predict(posterior.surrogate.everything)
    truth = np.array([additive(subset) for subset in SPACE])
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    inside = np.abs(mean - truth) < 2 * deviation
    assert inside.mean() > 0.85  # its intervals are honest
    weights = posterior.weights()
    assert set(weights) == set(COMPONENTS)
    assert weights["layers"] + weights["smooth"] > 3 * weights["local"]


def test_running_trials_leave_means_and_take_uncertainty() -> None:
    history = observed(20)
    near = next(subset for subset in SPACE if subset not in {trial.subset for trial in history})
    plain = Surrogate(SPACE).fit(history)
    waiting = Surrogate(SPACE).fit([*history, Observation(near, "running")])
    assert plain is not None
    assert waiting is not None
    rows = plain.surrogate.rows([near])
    (mean,), (deviation,) = plain.predict(rows)
    (same,), (less,) = waiting.predict(rows)
    assert same == pytest.approx(mean, abs=1e-6)
    assert less < 0.8 * deviation


def test_imagined_ends_of_running_trials_are_what_scoring_them_would_say() -> None:
    rng = np.random.default_rng(1)
    points, others, scores = rng.normal(size=(12, 2)), rng.normal(size=(5, 2)), rng.normal(size=10)
    kernel, noise = RBF(1.0), np.full(12, 0.04)
    covariance = kernel(others, points).astype(np.float32)
    waiting = Regression.on(kernel(points).astype(np.float32), scores, noise)
    draws = np.array([0.7, -1.2], dtype=np.float32)
    imagined = waiting.mean(covariance) + draws @ waiting.explained(covariance)[10:]
    ends = (
        waiting.mean(kernel(points[10:], points).astype(np.float32))
        + waiting.lower[10:, 10:] @ draws
    )
    known = Regression.on(kernel(points).astype(np.float32), np.append(scores, ends), noise)
    np.testing.assert_allclose(imagined, known.mean(covariance), atol=1e-4)


def test_seeds_of_a_subset_are_pooled() -> None:
    seen = [Observation((0, 1, 2, 3, 4), "complete", score) for score in (0.4, 0.5)]
    seen += [Observation((0, 1, 2, 3, 5), "complete", 0.3), Observation((0, 1), "complete", 9.0)]
    seen += [Observation((0, 1, 2, 3, 6), state) for state in ("failed", "running", "waiting")]  # type: ignore[arg-type]
    seen += [Observation((0, 1, 2, 3, 7), "complete", float("nan"))]
    trials = Trials.of(seen, SPACE)
    assert trials.subsets == ((0, 1, 2, 3, 4), (0, 1, 2, 3, 5))
    assert trials.means.tolist() == pytest.approx([0.45, 0.3])
    assert trials.counts.tolist() == [2, 1]
    assert trials.squares.tolist() == pytest.approx([0.005, 0])
    assert trials.pending == ((0, 1, 2, 3, 6),) * 2


def test_of_many_trials_the_best_and_the_last_are_kept() -> None:
    trials = Trials.of(observed(100), SPACE)
    some = trials.best(40)
    assert len(some) == 40
    assert set(np.sort(trials.means)[-20:]) <= set(some.means)
    assert trials.subsets[-1] in some.subsets
    assert trials.best(100) is trials


def test_the_noise_is_learned_from_the_subsets_that_are_kept() -> None:
    """Many more subsets than amplitudes are learned from, two seeds each."""
    space = LayerSpace(14, 6, 3, "free")
    history = [t for seed in (0, 1) for t in observed(600, noise=0.02, space=space)]
    rng = random.Random(5)
    history = [
        Observation(trial.subset, "complete", additive(trial.subset) + rng.gauss(0, 0.02))
        for trial in history
    ]
    posterior = Surrogate(space).fit(history)
    assert posterior is not None
    assert posterior.noise == pytest.approx(0.02, rel=0.15)


# hints


def hint(values: Callable[[Subset], float]) -> Callable[[Sequence[Subset]], np.ndarray]:
    """A hint with mean 0 and variance 1 over the space."""
    every = np.array([values(subset) for subset in SPACE])
    return lambda subsets: (np.array([values(s) for s in subsets]) - every.mean()) / every.std()


def noise(subset: Subset) -> float:
    """What has nothing to do with any score."""
    return random.Random(f"hint {subset}").gauss(0, 1)


def test_a_hint_that_predicts_is_used_and_one_that_does_not_is_ignored() -> None:
    history = observed(20)
    good = Surrogate(SPACE, [hint(additive)]).fit(history)
    bad = Surrogate(SPACE, [hint(noise)]).fit(history)
    both = Surrogate(SPACE, [hint(noise), hint(additive)]).fit(history)
    assert good is not None
    assert bad is not None
    assert both is not None
    assert good.hinted
    assert good.weights()["hint 1"] > 0.3 * float(good.trials.means.std())
    assert not bad.hinted
    assert both.weights()["hint 1"] == 0
    assert both.weights()["hint 2"] > 0
    truth = np.array([additive(subset) for subset in SPACE])
    plain = Surrogate(SPACE).fit(history)
    assert plain is not None
    errors = [
        float(np.abs(p.predict(p.surrogate.everything)[0] - truth).mean()) for p in (good, plain)
    ]
    assert errors[0] < errors[1]


def test_a_hint_may_know_only_some_subsets() -> None:
    whole = hint(additive)

    def some(subsets: Sequence[Subset]) -> np.ndarray:
        return np.where([3 in subset for subset in subsets], whole(subsets), np.nan)

    posterior = Surrogate(SPACE, [some]).fit(observed(20))
    assert posterior is not None
    assert np.isfinite(posterior.predict(posterior.surrogate.everything)[0]).all()


def test_the_first_trial_is_what_the_hints_favour() -> None:
    best = max(SPACE, key=additive)
    assert GPSampler(SPACE, hints=[hint(additive)]).next_subset([]) == best


# other depths


SHALLOW = LayerSpace(12, 3, 3, "free")


def correlation(posterior: Posterior | None, truth: Callable[[Subset], float] = additive) -> float:
    """Of the posterior mean with the truth, over the space."""
    assert posterior is not None
    mean, _ = posterior.predict(posterior.surrogate.everything)
    return float(np.corrcoef(mean, [truth(subset) for subset in SPACE])[0, 1])


def test_other_depths_tell_of_layers() -> None:
    others, history = observed(50, space=SHALLOW), observed(10)
    told = Surrogate(SPACE, transfer=True).fit([*others, *history])
    alone = Surrogate(SPACE).fit(history)
    assert told is not None
    assert told.hinted
    assert 1 - correlation(told) < 0.5 * (1 - correlation(alone))


@pytest.mark.parametrize("times", [0.1, 10])
def test_another_depth_may_spread_its_scores_wider(times: float) -> None:
    others = observed(50, lambda subset: times * additive(subset), noise=0.0, space=SHALLOW)
    history = observed(10)
    told = Surrogate(SPACE, transfer=True).fit([*others, *history])
    assert told is not None
    assert told.hinted
    assert correlation(told) > correlation(Surrogate(SPACE).fit(history))
    assert 0.3 < told.predict(told.surrogate.everything)[0].mean() < 0.4


def test_many_other_depths_share_what_is_learned_from() -> None:
    others = [
        trial
        for depth in (4, 6, 7)
        for trial in observed(150, space=LayerSpace(12, depth, 3, "free"))
    ]
    sizes = [len(one.trials) for one in transfer.relatives(others, SPACE)]
    assert sizes == [66] * 3
    assert [len(one.trials) for one in transfer.relatives(others[:150], SPACE)] == [150]


def test_before_its_first_trial_a_depth_trusts_the_others() -> None:
    others = observed(50, space=SHALLOW)
    surrogate = Surrogate(SPACE, transfer=True)
    assert surrogate.fit(others) is None
    assert correlation(surrogate.fit(others, trusting=True)) > 0.9
    first = GPSampler(SPACE, transfer=True).next_subset(others)
    assert sum(additive(subset) > additive(first) for subset in SPACE) < 0.05 * SPACE.count


def test_other_depths_that_mislead_are_left_out() -> None:
    others, history = observed(50, noise, space=SHALLOW), observed(20)
    told = Surrogate(SPACE, transfer=True).fit([*others, *history])
    alone = Surrogate(SPACE).fit(history)
    assert told is not None
    assert alone is not None
    assert not told.hinted
    for ours, theirs in zip(
        told.predict(told.surrogate.everything),
        alone.predict(alone.surrogate.everything),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_only_a_sampler_that_is_told_to_listens_to_other_depths() -> None:
    history = [*observed(50, space=SHALLOW), *observed(12)]
    told, deaf = (Surrogate(SPACE, transfer=choice) for choice in (True, False))
    assert len(told.relatives(history)) == 1
    assert deaf.relatives(history) == []
    assert told.relatives(observed(12)) == []


def test_a_few_trials_of_another_depth_say_nothing() -> None:
    few = observed(transfer.LEAST - 1, space=SHALLOW)
    assert transfer.relatives(few, SPACE) == []
    flat = [Observation((0, layer), "complete", 0.7) for layer in range(1, 12)]
    assert transfer.relatives(flat, SPACE) == []


def test_other_depths_may_hold_anything() -> None:
    """Hand-picked subsets, the whole base, and what never was one."""
    history = [Observation(tuple(range(d)), "complete", 0.1 * d) for d in range(1, 13)]
    history += [Observation((), "failed"), Observation((0, 40), "complete", 0.5)]
    history += observed(20, space=SHALLOW)
    proposed = GPSampler(SPACE, transfer=True).next_subset(history)
    assert proposed in SPACE


# extremes


@pytest.mark.parametrize("seeds", [2, 40])
def test_scores_that_seeds_do_not_change(seeds: int) -> None:
    """Rounding in single precision is more than such a noise."""
    once = observed(330, noise=0.0)
    history = [
        Observation(one.subset, "complete", one.score, n) for one in once for n in range(seeds)
    ]
    posterior = Surrogate(SPACE).fit(history)
    assert posterior is not None
    mean, covariance = posterior.joint(posterior.trials.subsets[:16])
    assert mean == pytest.approx([one.score for one in once[:16]], abs=0.002)
    assert (np.diag(covariance) > 0).all()
    assert np.isfinite(np.sqrt(np.diag(covariance))).all()


def test_noise_that_drowns_the_subsets_is_found_all_the_same() -> None:
    rng = random.Random(0)
    history = [
        Observation(one.subset, "complete", 0.4 + rng.gauss(0, 0.05), seed)
        for one in observed(20)
        for seed in range(20)
    ]
    posterior = Surrogate(SPACE).fit(history)
    assert posterior is not None
    assert posterior.noise == pytest.approx(0.05, rel=0.15)


def test_a_matrix_that_is_no_covariance_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        factor(np.array([[1.0, 2.0], [2.0, 1.0]]))
    lower = factor(np.ones((3, 3)))
    np.testing.assert_allclose(lower @ lower.T, np.ones((3, 3)), atol=1e-4)


# what is tried next


def test_improvement_against_a_simulation() -> None:
    mean, deviation = np.array([0.4, 0.5, 0.3]), np.array([0.1, 0.02, 0.3])
    draws = np.random.default_rng(0).normal(mean, deviation, (400_000, 3))
    expected = np.maximum(draws - 0.45, 0).mean(axis=0)
    np.testing.assert_allclose(improvement(mean, deviation, 0.45), expected, rtol=0.02)


def found_after(sampler: GPSampler, truth: Callable[[Subset], float], trials: int) -> float:
    """Best true score after so many trials without noise."""
    history: list[Observation] = []
    for _ in range(trials):
        subset = sampler.next_subset(history)
        history.append(Observation(subset, "complete", truth(subset)))
    return max(trial.score or 0 for trial in history)


def test_the_best_of_a_space_is_found_in_a_fraction_of_its_trials() -> None:
    best = max(additive(subset) for subset in SPACE)
    assert SPACE.count == 330
    assert found_after(GPSampler(SPACE, seed=3), additive, 30) == pytest.approx(best)


def test_a_space_too_large_to_hold_is_climbed() -> None:
    space = LayerSpace(40, 10, 3, "free")
    found = found_after(GPSampler(space, seed=1), additive, 45)
    best = additive((0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    typical = float(np.mean([trial.score for trial in observed(200, space=space)]))
    assert found > typical + 0.8 * (best - typical)
