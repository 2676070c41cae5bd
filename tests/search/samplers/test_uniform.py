"""The samplers without a memory for scores: `uniform` and `exhaustive`."""

import pytest

from search.space import LayerSpace
from tests.support.chance import chi_square
from tests.support.sampling import SPACE, complete, make_sampler, simulate


@pytest.mark.slow
def test_seeds_of_uniform_are_uniform() -> None:
    """Also over seeds, so that no subset is favoured as the first trial of a study."""
    space = LayerSpace(6, 3, None, "free", keep_first=False)
    drawn = [make_sampler("uniform", space, seed).next_subset([]) for seed in range(4000)]
    # the limit is the 99.9 % quantile for 19 degrees of freedom
    assert chi_square(drawn, list(space)) < 43.82


def test_one_study_of_uniform_is_uniform() -> None:
    """Each proposal is a draw of its own, not the last one moved on."""
    history = simulate(make_sampler("uniform"), trials=200)
    tenths = [SPACE.rank(trial.subset) * 10 // SPACE.count for trial in history]
    # the limit is the 99.9 % quantile for 9 degrees of freedom
    assert chi_square(tenths, range(10)) < 27.88


def test_exhaustive_goes_through_the_space_in_order() -> None:
    sampler = make_sampler("exhaustive")
    first = [SPACE.unrank(rank) for rank in range(20)]
    assert [trial.subset for trial in simulate(sampler, trials=20, workers=3)] == first
    assert sampler.next_subset(complete(first[:7] + first[8:])) == first[7]  # a gap comes first
