"""The answer of a study: the best posterior mean, not the luckiest score."""

import numpy as np
import pytest
from sqlalchemy import Engine

from search.analysis.answer import find_answer, find_answers
from search.observation import Observation
from search.surrogate import Surrogate
from storage.queue import Result
from storage.screens import ScreenedSubset, record_screened
from storage.studies import StudyRecord
from tests.support.landscapes import SHALLOW, additive, observe
from tests.support.landscapes import SPACE as LARGER
from tests.support.proposals import SPACE, tried, true_score
from tests.support.stores import begin, finish_trial, new_trial
from tests.support.study_files import short

# one depth


def test_the_answer_is_not_the_luckiest_score() -> None:
    """A bad subset that was lucky once does not win over its good neighbours."""
    seen = tried([s for s in SPACE if sum(s) % 2], noise=0.002, seed=1)
    lucky = (0, 4, 5, 7)
    seen = [trial for trial in seen if trial.subset != lucky]
    top = max(trial.score or 0 for trial in seen)
    seen.append(Observation(lucky, top + 0.001, seed=1))

    found = find_answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.subset != lucky
    assert true_score(found.subset) == max(true_score(trial.subset) for trial in seen)
    assert found.deviation is not None
    assert 0 < found.deviation < 0.02
    assert (found.trials, found.depth) == (1, 4)


def test_the_noise_of_a_trial_is_learned_from_its_seeds() -> None:
    seen = [t for seed in range(12) for t in tried(list(SPACE)[:20], noise=0.02, seed=seed)]
    posterior = Surrogate(SPACE).fit(seen)
    assert posterior is not None
    assert posterior.noise == pytest.approx(0.02, rel=0.15)

    found = find_answer(Surrogate(SPACE), seen)
    assert found is not None
    assert found.trials == 12
    assert found.deviation is not None
    assert found.deviation < 0.02 / 12**0.5 * 1.2
    own = [trial.score for trial in seen if trial.subset == found.subset]
    assert found.measured == pytest.approx(np.mean(np.array(own, dtype=float)))


def test_pending_trials_do_not_make_the_answer_clearer() -> None:
    seen = tried(list(SPACE)[:20], noise=0.02, seed=3)
    calm = find_answer(Surrogate(SPACE), seen)
    assert calm is not None
    pending = [Observation(calm.subset, is_pending=True, seed=seed) for seed in range(4, 9)]
    assert find_answer(Surrogate(SPACE), [*seen, *pending]) == calm


def test_more_seeds_make_the_answer_clearer() -> None:
    few, many = (
        find_answer(
            Surrogate(SPACE),
            [t for seed in range(seeds) for t in tried(list(SPACE)[:20], noise=0.02, seed=seed)],
        )
        for seeds in (1, 12)
    )
    assert few is not None
    assert many is not None
    assert 0 < few.probability < many.probability <= 1


def test_a_single_score_is_the_answer() -> None:
    found = find_answer(Surrogate(SPACE), tried([(0, 1, 2, 3)]))
    assert found is not None
    assert (found.subset, found.deviation, found.probability) == ((0, 1, 2, 3), None, 1.0)
    assert found.mean == found.measured == true_score((0, 1, 2, 3))
    assert found.trials == 1


def test_without_scores_there_is_no_answer() -> None:
    seen = [Observation((0, 1, 2, 3)), Observation((0, 1, 2, 4), is_pending=True)]
    assert find_answer(Surrogate(SPACE), seen) is None


# the depths of a study in a store


def begin_study(engine: Engine, *, transfer: bool) -> StudyRecord:
    """Begin a study of depths 3 and 5 of twelve layers, whose sampler may transfer."""
    file = short().plain() | {"sampler": {"name": "gp", "startup": 4, "transfer": transfer}}
    return begin(engine, {3: 99, 5: 99}, file=file, layers=12)


def record(engine: Engine, study: StudyRecord, history: list[Observation]) -> None:
    """Run trials with these scores."""
    for trial in history:
        finish_trial(engine, study, new_trial(trial.subset, trial.seed), Result(trial.score))


def test_each_depth_with_a_score_has_an_answer(engine: Engine) -> None:
    study = begin_study(engine, transfer=False)
    assert find_answers(engine, study, [3, 5]) == []
    history = observe(12)
    record(engine, study, history)

    (found,) = find_answers(engine, study, [3, 5])
    assert found.depth == 5
    space = LARGER.unconstrained(5)  # hand-picked subsets may be anywhere
    assert found == find_answer(Surrogate(space), history)


def test_other_depths_count_where_the_sampler_learns_from_them(engine: Engine) -> None:
    own, others = observe(8, noise=0.002), observe(15, space=SHALLOW)
    study = begin_study(engine, transfer=True)
    record(engine, study, [*others, *own])
    (found,) = find_answers(engine, study, [5])
    surrogate = Surrogate(LARGER.unconstrained(5), transfer=True)
    assert found == find_answer(surrogate, [*others, *own])
    assert found != find_answer(Surrogate(LARGER.unconstrained(5)), own)


def test_screens_count_as_hints(engine: Engine) -> None:
    own = observe(12, noise=0.01)
    study = begin_study(engine, transfer=False)
    record(engine, study, own)
    (plain,) = find_answers(engine, study, [5])

    screened = [ScreenedSubset(subset, additive(subset), 0.0) for subset in LARGER]
    record_screened(engine, study.id, "untrained", screened)
    (hinted,) = find_answers(engine, study, [5])
    assert hinted.deviation is not None
    assert plain.deviation is not None
    assert hinted.deviation < plain.deviation
