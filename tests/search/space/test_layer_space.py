"""The space of subsets against enumeration: members, neighbours, the closest, and chance."""

import math
import random
from itertools import combinations, islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace, Subset
from tests.support.chance import chi_square
from tests.support.spaces import PROPERTY, Case, members, overlap, possible_cases

# membership


@PROPERTY
@given(possible_cases(), st.integers(0, 2**32))
def test_membership(case: Case, seed: int) -> None:
    space, obeying = case.space, set(members(case))
    candidates = list(combinations(range(case.layers), case.depth))

    # and anything else, with too few or too many layers, out of order, repeated or not there
    rng = random.Random(seed)
    for _ in range(20):
        length = rng.randint(case.depth - 1, case.depth + 1)
        candidates.append(tuple(rng.randint(-2, case.layers + 1) for _ in range(length)))

    for candidate in candidates:
        assert (candidate in space) == (candidate in obeying)


@pytest.mark.parametrize(
    "stranger",
    [
        None,
        0,
        "0_1_2_18",
        [0, 1, 2, 18],
        {0, 1, 2, 18},
        (),
        (0, 1, 2),
        (0, 1, 2, 18, 19),
        (0, 2, 1, 18),
        (0, 1, 1, 18),
        (0, 1, 2, 24),
        (-3, 1, 2, 18),
        (0.0, 1.0, 2.0, 18.0),
        ("0", "1", "2", "18"),
        (0, "1", 2, 18),
        (0, None, 2, 18),
    ],
)
def test_strangers_are_no_members(stranger: object) -> None:
    space = LayerSpace(22, 4)
    assert (0, 1, 2, 18) in space
    assert stranger not in space


# neighbours and the closest


@PROPERTY
@given(possible_cases(), st.data())
def test_neighbours_differ_by_one_swap(case: Case, data: st.DataObject) -> None:
    every = st.sets(st.integers(0, case.layers - 1), min_size=case.depth, max_size=case.depth)
    subset = tuple(sorted(data.draw(every)))  # need not be a member
    near = [other for other in members(case) if overlap(subset, other) == case.depth - 1]
    assert case.space.neighbours(subset) == near


@PROPERTY
@given(possible_cases(), st.integers(0, 2**32))
def test_closest_has_the_least_cost(case: Case, seed: int) -> None:
    rng = random.Random(seed)
    # whole numbers: sums are exact, and ties are common
    costs = {place: rng.randrange(-4, 5) for place in product(range(12), range(12))}

    def total(subset: Subset) -> int:
        return sum(costs[place] for place in enumerate(subset))

    found = case.space.closest(lambda position, layer: costs[position, layer])
    assert found == min(members(case), key=lambda subset: (total(subset), subset))


# without a rule


@PROPERTY
@given(possible_cases(), st.data())
def test_unconstrained_space_holds_every_subset(case: Case, data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, case.layers))
    free = case.space.unconstrained(depth)
    assert list(free) == list(combinations(range(case.layers), depth))
    assert free.period == case.period  # the base still has its rhythm


@pytest.mark.parametrize("depth", [0, 13])
def test_unconstrained_space_needs_the_layers(depth: int) -> None:
    message = f"^depth {depth} is impossible: the base has 12 layers$"
    with pytest.raises(InputError, match=message):
        LayerSpace(12, 4).unconstrained(depth)


# chance


@pytest.mark.parametrize(
    ("space", "size", "limit"),
    [  # limits: the 99.9 % quantile for size - 1 degrees of freedom
        (LayerSpace(6, 3, None, "free", keep_first=False), 20, 43.82),
        (LayerSpace(10, 5, 3, "strict", forbidden={5}), 9, 26.12),
        (LayerSpace(10, 5, 3, "anchored", keep_first=False, pinned={4}), 16, 37.70),
    ],
)
def test_sampling_is_uniform(space: LayerSpace, size: int, limit: float) -> None:
    possible = list(space)
    assert len(possible) == size
    rng = random.Random(11)
    assert chi_square([space.sample(rng) for _ in range(1000 * size)], possible) < limit


def test_samples_repeat_with_the_seed() -> None:
    space = LayerSpace(22, 7)
    one, other = ([space.sample(rng) for _ in range(9)] for rng in map(random.Random, (4, 4)))
    assert one == other


# many layers


@pytest.mark.timeout(20)
def test_large_free_space() -> None:
    space = LayerSpace(48, 24, None, "free", keep_first=False)
    assert space.count == math.comb(48, 24)
    last = tuple(range(24, 48))
    assert space.unrank(space.count - 1) == last
    assert space.rank(last) == space.count - 1
    assert next(iter(space)) == tuple(range(24))

    subset = space.sample(random.Random(0))
    assert subset in space
    assert space.unrank(space.rank(subset)) == subset
    assert len(space.neighbours(subset)) == 24 * 24
    assert space.closest(lambda _, layer: -float(layer)) == last

    assert space.decode([1] * 48) in space
    assert space.decode([0] * 24 + [1] * 24) == last
    assert overlap(space.decode([1] * 3 + [0] * 45), (0, 1, 2)) == 3


@pytest.mark.timeout(20)
def test_large_strict_space() -> None:
    space = LayerSpace(48, 24)
    first = list(islice(space, 200))
    assert first == [space.unrank(rank) for rank in range(200)]

    rng = random.Random(0)
    for _ in range(50):
        rank = rng.randrange(space.count)
        assert space.rank(space.unrank(rank)) == rank

    subset = space.sample(rng)
    near = space.neighbours(subset)
    assert near
    assert all(other in space and overlap(subset, other) == 23 for other in near)
