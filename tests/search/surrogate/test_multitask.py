"""Trials of other depths: which are learned from, and how far."""

import math

import numpy as np
import pytest

from search.observation import Observation
from search.space import LayerSpace, Subset
from search.surrogate import PooledTrials, Surrogate
from search.surrogate.kernel import COMPONENTS, TARGET, joint_components
from search.surrogate.multitask import (
    LEAST_OF_OTHER_DEPTH,
    JointScores,
    OtherTask,
    find_other_tasks,
)
from tests.support.landscapes import (
    SHALLOW,
    SPACE,
    additive,
    correlation,
    fit,
    hint_of,
    observe,
    predict_all,
    unrelated,
)

MIDDLE = LayerSpace(12, 4, 3, "free")

# which depths


def test_only_a_surrogate_with_transfer_learns_from_other_depths() -> None:
    history = [*observe(50, space=SHALLOW), *observe(12)]
    joined, alone = (Surrogate(SPACE, transfer=choice) for choice in (True, False))
    assert len(joined.other_tasks(history)) == 1
    assert alone.other_tasks(history) == []
    assert joined.other_tasks(observe(12)) == []


def test_other_depths_are_numbered_from_the_shallowest() -> None:
    """However their trials are mixed; the depth of the space is none of them."""
    history = [
        trial
        for trials in zip(
            observe(20, space=LayerSpace(12, 7, 3, "free")),
            observe(20),
            observe(20, space=SHALLOW),
            strict=True,
        )
        for trial in trials
    ]

    found = find_other_tasks(history, SPACE)
    assert [len(one.trials.subsets[0]) for one in found] == [3, 7]
    assert [one.inputs(number, 0).depth for number, one in enumerate(found)] == [3, 7]
    assert [one.inputs(number, 2).task for number, one in enumerate(found)] == [0, 1]
    assert not found[0].inputs(0, 2).hints.any()


def test_a_few_trials_of_another_depth_say_nothing() -> None:
    few = observe(LEAST_OF_OTHER_DEPTH - 1, space=SHALLOW)
    assert find_other_tasks(few, SPACE) == []
    assert len(find_other_tasks(observe(LEAST_OF_OTHER_DEPTH, space=SHALLOW), SPACE)) == 1

    flat = [Observation((0, layer), 0.7) for layer in range(1, 12)]
    assert find_other_tasks(flat, SPACE) == []


def test_many_other_depths_share_the_trials_that_are_learned_from() -> None:
    others = [
        trial
        for depth in (4, 6, 7)
        for trial in observe(150, space=LayerSpace(12, depth, 3, "free"))
    ]
    sizes = [len(one.trials) for one in find_other_tasks(others, SPACE)]
    assert sizes == [66] * 3
    assert [len(one.trials) for one in find_other_tasks(others[:150], SPACE)] == [150]


def test_a_depth_with_many_trials_needs_fewer_of_others() -> None:
    others = observe(150, space=MIDDLE)
    sizes = [
        len(find_other_tasks([*others, *observe(own)], SPACE)[0].trials) for own in (0, 100, 300)
    ]
    assert sizes == [150, 100, 60]


def test_trials_that_are_no_subsets_of_the_base_are_left_out() -> None:
    strange = [Observation(()), Observation(tuple(range(13)), 0.5)] * LEAST_OF_OTHER_DEPTH
    assert find_other_tasks(strange, SPACE) == []


# scores in units of their own


def join(*spaces: LayerSpace, times: float = 1.0) -> JointScores:
    """Return the scores of 15 trials at each depth, the target's last; `times` widens the first."""
    widened = [times, *[1.0] * (len(spaces) - 1)]
    trials = [
        PooledTrials.of(
            observe(15, lambda s, scale=scale: scale * additive(s), space=space),  # type: ignore[misc]
            space,
        )
        for space, scale in zip(spaces, widened, strict=True)
    ]
    others = [
        OtherTask(Surrogate(space).encode, pooled)
        for space, pooled in zip(spaces[:-1], trials[:-1], strict=True)
    ]
    return JointScores.of(Surrogate(spaces[-1]).inputs(trials[-1].subsets), trials[-1], others)


def test_each_task_has_a_unit_of_its_own() -> None:
    scores = join(SHALLOW, MIDDLE, SPACE, times=10)
    assert scores.sizes == (15, 15, 15)
    assert [part.task for part in scores.parts] == [0, 1, TARGET]
    assert [part.depth for part in scores.parts] == [3, 4, 5]
    for one in np.split(scores.scores, 3):
        assert one.mean() == pytest.approx(0, abs=1e-9)
        assert one.std() == pytest.approx(1)

    alone = join(SPACE)
    assert (alone.centre, alone.unit) == (scores.centre, scores.unit)  # those of the target
    assert alone.sizes == (15,)


def test_a_task_whose_scores_do_not_vary_takes_the_unit_of_others() -> None:
    flat = PooledTrials.of([Observation(SPACE.unrank(rank), 0.5) for rank in range(9)], SPACE)
    inputs = Surrogate(SPACE).inputs(flat.subsets)
    other = PooledTrials.of(observe(20, space=SHALLOW), SHALLOW)
    scores = JointScores.of(inputs, flat, [OtherTask(Surrogate(SHALLOW).encode, other)])
    assert scores.unit == pytest.approx(other.deviation)
    assert scores.centre == 0.5
    assert (scores.scores[20:] == 0).all()


def test_a_left_out_hint_has_amplitude_and_correlation_zero() -> None:
    trials = PooledTrials.of(observe(25), SPACE)
    other = PooledTrials.of(observe(25, unrelated, space=SHALLOW), SHALLOW)
    surrogate = Surrogate(SPACE, [hint_of(unrelated), hint_of(additive)])
    tasks = [OtherTask(Surrogate(SHALLOW).encode, other)]
    scores = JointScores.of(surrogate.inputs(trials.subsets), trials, tasks)

    found = scores.fit(joint_components(scores.parts))
    assert found.variances.shape == (len(COMPONENTS) + 2,)
    assert found.correlations.shape == (2, len(COMPONENTS) + 2)
    assert found.variances[-2] == 0 < found.variances[-1]
    assert (found.correlations[:, -2] == 0).all()
    assert (found.correlations[-1, [*range(len(COMPONENTS)), -1]] == 1).all()


# learning from them


def test_other_depths_tell_of_layers() -> None:
    others, history = observe(50, space=SHALLOW), observe(10)
    joined, alone = fit([*others, *history], transfer=True), fit(history)
    assert joined.trusts_guidance
    assert 1 - correlation(joined) < 0.5 * (1 - correlation(alone))


@pytest.mark.parametrize("times", [0.1, 10])
def test_scores_of_another_depth_may_vary_more(times: float) -> None:
    others = observe(50, lambda subset: times * additive(subset), noise=0.0, space=SHALLOW)
    history = observe(10)
    joined = fit([*others, *history], transfer=True)
    assert joined.trusts_guidance
    assert correlation(joined) > correlation(fit(history))
    assert 0.3 < predict_all(joined)[0].mean() < 0.4


def test_two_other_depths_are_learned_from_together() -> None:
    """The one that resembles the target counts, and the one that misleads does no harm."""
    history = observe(12)
    others = [*observe(40, unrelated, space=SHALLOW), *observe(40, space=MIDDLE)]
    joined = fit([*others, *history], transfer=True)
    assert joined.trusts_guidance
    assert correlation(joined) > correlation(fit(history))

    misleading, alike, target = joined.kernel.hyperparameters.correlations
    weights = joined.kernel.hyperparameters.variances
    assert (weights * alike).sum() > 2 * (weights * misleading).sum()
    assert (target == 1).all()


def test_before_its_first_trial_a_depth_trusts_the_others() -> None:
    others = observe(50, space=SHALLOW)
    surrogate = Surrogate(SPACE, transfer=True)
    assert surrogate.fit(others) is None
    trusting = surrogate.fit(others, trust=True)
    assert trusting is not None
    assert correlation(trusting) > 0.9
    assert (trusting.kernel.hyperparameters.correlations[0] >= 0.7).all()
    assert surrogate.fit([], trust=True) is None


def test_other_depths_that_mislead_are_left_out() -> None:
    others, history = observe(50, unrelated, space=SHALLOW), observe(20)
    joined, alone = fit([*others, *history], transfer=True), fit(history)
    assert not joined.trusts_guidance
    for ours, theirs in zip(predict_all(joined), predict_all(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_means_are_in_units_of_the_score() -> None:
    """A shift of the target's scores shifts its predictions as far, beside the same others."""
    others, history = observe(30, space=SHALLOW), observe(15)
    shifted = [Observation(trial.subset, (trial.score or math.nan) + 5) for trial in history]
    mean, deviation = predict_all(fit([*others, *history], transfer=True))
    far, same = predict_all(fit([*others, *shifted], transfer=True))
    np.testing.assert_allclose(far, mean + 5, atol=1e-4)
    np.testing.assert_allclose(same, deviation, rtol=1e-3)


def test_subsets_of_another_depth_have_no_place_in_the_posterior() -> None:
    subset: Subset = (0, 1, 2)
    posterior = fit([*observe(30, space=SHALLOW), *observe(15)], transfer=True)
    assert subset not in posterior.trials.subsets
    assert len(posterior.at_scored()[0]) == 15
