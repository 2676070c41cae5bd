"""The trials of the whole base that a study shall have."""

from typing import Any

import pytest

from evaluators import Description
from search.study.reference import plan_reference, whole_base
from storage.queue import NewTrial
from storage.states import Origin
from tests.support.workers import Sums, study_file

WHOLE = (0, 1, 2, 3, 4, 5)


class Some(Sums):
    """An evaluator that has scores of some subsets only."""

    def __init__(self, *known: tuple[int, ...]) -> None:
        super().__init__()
        self._known = known

    def has(self, subset: tuple[int, ...]) -> bool:
        """Whether a subset is among the known ones."""
        return subset in self._known


def test_the_whole_base_keeps_all_layers() -> None:
    assert whole_base(Description("toy", 6, None)) == WHOLE


@pytest.mark.parametrize(
    ("changed", "seeds"),
    [
        ({}, [0]),
        ({"seed": 7}, [7]),
        ({"replicates": 3}, [0, 1, 2]),
        ({"seed": 7, "replicates": 2}, [7, 8]),
        ({"replicates": "auto"}, [0]),
    ],
)
def test_it_has_the_seeds_of_a_subset(changed: dict[str, Any], seeds: list[int]) -> None:
    expected = [NewTrial(WHOLE, seed, Origin.REFERENCE) for seed in seeds]
    assert plan_reference(study_file(**changed), Sums()) == expected


def test_a_study_that_searches_all_layers_needs_none() -> None:
    file = study_file(depths=[2, 6], trials=1)
    assert plan_reference(file, Sums()) == []


def test_an_evaluator_may_have_no_score_of_it() -> None:
    assert plan_reference(study_file(), Some((0, 1))) == []
    assert len(plan_reference(study_file(), Some((0, 1), WHOLE))) == 1
