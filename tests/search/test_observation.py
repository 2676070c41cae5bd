"""One trial as samplers see it."""

from dataclasses import FrozenInstanceError

import pytest

from search.observation import Observation


@pytest.mark.parametrize(
    ("trial", "has_failed"),
    [
        (Observation((0, 1)), True),
        (Observation((0, 1), 0.5), False),
        (Observation((0, 1), 0.0), False),
        (Observation((0, 1), float("nan")), False),  # it has a score, though a useless one
        (Observation((0, 1), is_pending=True), False),
    ],
)
def test_failed_is_without_a_score_and_not_pending(trial: Observation, *, has_failed: bool) -> None:
    assert trial.has_failed == has_failed


def test_observations_are_values() -> None:
    trial = Observation((0, 1), 0.5, seed=3)
    assert trial == Observation((0, 1), 0.5, is_pending=False, seed=3)
    assert trial != Observation((0, 1), 0.5)
    assert len({trial, Observation((0, 1), 0.5, seed=3)}) == 1
    with pytest.raises(FrozenInstanceError):
        trial.score = 0.6  # type: ignore[misc]
