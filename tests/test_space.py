"""The space of subsets, against enumeration by brute force."""

import csv
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import combinations, islice, product
from pathlib import Path
from typing import NamedTuple

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import cadences, subsets
from search.errors import InputError
from search.space import LayerSpace, parameter
from search.subsets import Subset

CARD = Path(__file__).parent.parent / "examples" / "card.csv"
PROPERTY = settings(deadline=None, derandomize=True, max_examples=300)


class Case(NamedTuple):
    """The arguments of a space, in its own order."""

    layers: int
    depth: int
    period: int | None
    cadence: str
    keep_first: bool
    pinned: frozenset[int]
    forbidden: frozenset[int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Arguments of small spaces, some of them impossible."""
    layers = draw(st.integers(1, 12))
    period = draw(st.none() | st.integers(1, 5))
    some = st.frozensets(st.integers(0, layers - 1), max_size=2)
    return Case(
        layers=layers,
        depth=draw(st.integers(1, layers)),
        period=period,
        cadence=draw(st.sampled_from(cadences.names())) if period else "free",
        keep_first=draw(st.booleans()),
        pinned=draw(some),
        forbidden=draw(some),
    )


@cache
def members(case: Case) -> list[Subset]:
    """All subsets that obey the rules, as the rules are told in words."""
    everywhere = range(case.layers)
    globals_ = set(range(0, case.layers, case.period or 1))

    def obeys(subset: Subset) -> bool:
        if case.keep_first and subset[0] != 0:
            return False
        if not all(layer in subset for layer in case.pinned):
            return False
        if any(layer in subset for layer in case.forbidden):
            return False
        at_global = [layer in globals_ for i, layer in enumerate(subset) if i in globals_]
        at_local = [layer in globals_ for i, layer in enumerate(subset) if i not in globals_]
        if case.cadence == "strict":
            return all(at_global) and not any(at_local)
        return case.cadence == "free" or all(at_global)

    return [subset for subset in combinations(everywhere, case.depth) if obeys(subset)]


def possible_cases() -> st.SearchStrategy[Case]:
    """Arguments of small spaces that hold at least one subset."""
    return cases().filter(members)


def overlap(one: Subset, other: Subset) -> int:
    """How many layers two subsets share."""
    return len(set(one) & set(other))


# counts


@pytest.mark.parametrize(
    ("cadence", "depth", "count"),
    [
        ("strict", 4, 252),
        ("strict", 7, 2478),
        ("strict", 13, 2357),
        ("anchored", 4, 511),
        ("anchored", 7, 8085),
        ("anchored", 13, 8333),
        ("free", 4, 1330),
        ("free", 7, 54264),
        ("free", 13, 293930),
    ],
)
def test_counts_of_the_reference(cadence: str, depth: int, count: int) -> None:
    assert LayerSpace(22, depth, 3, cadence).count == count


def test_count_of_the_reference_over_all_depths() -> None:
    assert sum(LayerSpace(22, depth).count for depth in range(1, 23)) == 24173


@PROPERTY
@given(cases())
def test_refused_exactly_when_no_subset_obeys(case: Case) -> None:
    if members(case):
        assert LayerSpace(*case).count == len(members(case))
    else:
        with pytest.raises(InputError):
            LayerSpace(*case)


# order


@PROPERTY
@given(possible_cases())
def test_iteration_is_lexicographic(case: Case) -> None:
    assert list(LayerSpace(*case)) == members(case)


@PROPERTY
@given(possible_cases())
def test_rank_and_unrank_are_inverse(case: Case) -> None:
    space = LayerSpace(*case)
    for rank, subset in enumerate(members(case)):
        assert space.rank(subset) == rank
        assert space.unrank(rank) == subset


@pytest.mark.parametrize("rank", [-1, 252, 10**9])
def test_unrank_refuses(rank: int) -> None:
    with pytest.raises(InputError, match=f"^rank {rank} is outside 0 to 251$"):
        LayerSpace(22, 4).unrank(rank)


def test_rank_refuses() -> None:
    with pytest.raises(InputError, match=r"^\(0, 1, 2, 4\) is not in the space$"):
        LayerSpace(22, 4).rank((0, 1, 2, 4))


# membership


@PROPERTY
@given(possible_cases(), st.data())
def test_membership(case: Case, data: st.DataObject) -> None:
    space = LayerSpace(*case)
    obeying = set(members(case))
    anything = st.lists(
        st.integers(-2, case.layers + 1), min_size=case.depth - 1, max_size=case.depth + 1
    )
    candidates = [tuple(data.draw(anything)) for _ in range(20)]
    candidates += combinations(range(case.layers), case.depth)
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
    assert LayerSpace(*case).neighbours(subset) == near


@PROPERTY
@given(possible_cases(), st.integers(0, 2**32))
def test_closest_has_the_least_cost(case: Case, seed: int) -> None:
    rng = random.Random(seed)
    # whole numbers: sums are exact, and ties are common
    costs = {place: rng.randrange(-4, 5) for place in product(range(12), range(12))}

    def total(subset: Subset) -> int:
        return sum(costs[place] for place in enumerate(subset))

    found = LayerSpace(*case).closest(lambda position, layer: costs[position, layer])
    assert found == min(members(case), key=lambda subset: (total(subset), subset))


# Optuna parameters


@PROPERTY
@given(possible_cases(), st.data())
def test_decode_shares_the_most_layers(case: Case, data: st.DataObject) -> None:
    space = LayerSpace(*case)
    keep = data.draw(st.lists(st.integers(0, 1), min_size=case.layers, max_size=case.layers))
    proposed = tuple(layer for layer in range(case.layers) if keep[layer])
    decoded = space.decode(keep)
    assert decoded in members(case)
    assert decoded == LayerSpace(*case).decode(keep)
    assert overlap(decoded, proposed) == max(overlap(one, proposed) for one in members(case))


@PROPERTY
@given(possible_cases())
def test_valid_proposals_are_kept(case: Case) -> None:
    space = LayerSpace(*case)
    for subset in members(case):
        parameters = space.encode(subset)
        assert list(parameters) == [parameter(layer) for layer in range(case.layers)]
        assert space.decode_parameters(parameters) == subset
        assert space.decode(list(parameters.values())) == subset


def test_encode_names_each_layer() -> None:
    assert LayerSpace(4, 2, None, "free").encode((0, 3)) == {
        "keep_00": 1,
        "keep_01": 0,
        "keep_02": 0,
        "keep_03": 1,
    }


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"keep_00": 1, "keep_01": 0},
        {"keep_00": 1, "keep_01": 0, "keep_02": 2},
        {"keep_00": 1, "keep_01": 0, "keep_02": "1"},
        {"keep_00": 1, "keep_01": 0, "keep_02": None},
        {"keep_0": 1, "keep_1": 0, "keep_2": 1},
        {"keep_00": 1, "keep_01": 0, "keep_02": 1, "keep_03": 1},  # a base of more layers
    ],
)
def test_parameters_of_another_base(strange: dict[str, object]) -> None:
    assert LayerSpace(3, 2, None, "free").decode_parameters(strange) is None


def test_parameters_may_have_company() -> None:
    parameters = {"keep_00": 1, "lr": 1e-4, "keep_01": 0, "keep_02": 1}
    assert LayerSpace(3, 2, None, "free").decode_parameters(parameters) == (0, 2)


def test_decode_spreads_its_ties() -> None:
    """Proposals that fit badly reach the whole space, not its first members again and again."""
    space = LayerSpace(22, 7)
    rng = random.Random(0)
    drawn = [space.decode([rng.randrange(2) for _ in range(22)]) for _ in range(400)]
    assert len(set(drawn)) > 340
    late = sum(layer > 10 for subset in drawn for layer in subset) / (7 * 400)
    assert 0.4 < late < 0.5  # of uniform draws: 0.47; with ties to the lowest layers: 0.30


def test_decode_is_the_same_in_every_process() -> None:
    code = (
        "import random; from search.space import LayerSpace; rng = random.Random(5); "
        "space = LayerSpace(22, 7); "
        "print([space.decode([rng.randrange(2) for _ in range(22)]) for _ in range(20)])"
    )
    rng = random.Random(5)
    space = LayerSpace(22, 7)
    here = [space.decode([rng.randrange(2) for _ in range(22)]) for _ in range(20)]
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == f"{here}\n"


@pytest.mark.parametrize("cadence", cadences.names())
@pytest.mark.parametrize("foreign", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_suggest_with_a_foreign_sampler(
    foreign: Callable[..., optuna.samplers.BaseSampler], cadence: str
) -> None:
    space = LayerSpace(22, 7, 3, cadence)
    study = optuna.create_study(direction="maximize", sampler=foreign(seed=3))
    found = []

    def objective(trial: optuna.Trial) -> float:
        found.append(space.suggest(trial))
        return float(sum(found[-1]))

    study.optimize(objective, n_trials=25)
    assert all(subset in space for subset in found)
    assert len(set(found)) > 15
    again = LayerSpace(22, 7, 3, cadence)
    for trial, subset in zip(study.trials, found, strict=True):
        assert set(trial.params) == {parameter(layer) for layer in range(22)}
        assert again.suggest(optuna.trial.FixedTrial(trial.params)) == subset


def test_suggest_keeps_a_valid_fixed_trial() -> None:
    space = LayerSpace(22, 4)
    trial = optuna.trial.FixedTrial(space.encode((0, 1, 2, 18)))
    assert space.suggest(trial) == (0, 1, 2, 18)


# chance


def chi_square(drawn: list[Subset], possible: list[Subset]) -> float:
    """Pearson's statistic of `drawn` against equal chances for all of `possible`."""
    counts = Counter(drawn)
    assert set(counts) <= set(possible)
    expected = len(drawn) / len(possible)
    return sum((counts[subset] - expected) ** 2 / expected for subset in possible)


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


# what cannot be


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "a base has at least 1 layer, not 0"),
        ({"layers": -2}, "a base has at least 1 layer, not -2"),
        ({"depth": 0}, "depth 0 is impossible: the base has 12 layers"),
        ({"depth": -1}, "depth -1 is impossible: the base has 12 layers"),
        ({"depth": 13}, "depth 13 is impossible: the base has 12 layers"),
        ({"period": 0}, "period 0 is impossible: choose 1 or more"),
        ({"period": -3}, "period -3 is impossible: choose 1 or more"),
        (
            {"cadence": "loose"},
            "unknown cadence 'loose': choose one of anchored, free, strict",
        ),
        ({"cadence": ""}, "unknown cadence '': choose one of anchored, free, strict"),
        (
            {"period": None},
            "cadence 'strict' needs an attention rhythm; the base has none: use 'free'",
        ),
        (
            {"period": None, "cadence": "anchored"},
            "cadence 'anchored' needs an attention rhythm; the base has none: use 'free'",
        ),
        ({"pinned": {12}}, "layer 12 does not exist: the base has layers 0 to 11"),
        ({"pinned": {-1}}, "layer -1 does not exist: the base has layers 0 to 11"),
        ({"forbidden": {3, 40}}, "layer 40 does not exist: the base has layers 0 to 11"),
        (
            {"pinned": {3, 5}, "forbidden": {5}},
            "layer 5 is both kept and forbidden: take it out of one of them",
        ),
        (
            {"forbidden": {0}},
            (
                "layer 0 is both kept and forbidden (keep_first keeps layer 0): "
                "take it out of one of them"
            ),
        ),
        (
            {"keep_first": False, "pinned": {0}, "forbidden": {0}},
            "layer 0 is both kept and forbidden: take it out of one of them",
        ),
        (
            {"pinned": {1, 2, 3, 4}},
            "depth 4 cannot hold the 5 pinned layers (0, 1, 2, 3, 4)",
        ),
        (
            {"pinned": {1, 2, 4}},
            (
                "no subset of depth 4 out of 12 layers satisfies cadence 'strict' with "
                "these pinned and forbidden layers: loosen one of them"
            ),
        ),
        (
            {"forbidden": {3, 6, 9}, "cadence": "anchored"},
            (
                "no subset of depth 4 out of 12 layers satisfies cadence 'anchored' with "
                "these pinned and forbidden layers: loosen one of them"
            ),
        ),
        (
            {"depth": 12, "forbidden": {7}, "cadence": "free"},
            (
                "no subset of depth 12 out of 12 layers satisfies cadence 'free' with these pinned "
                "and forbidden layers: loosen one of them"
            ),
        ),
    ],
)
def test_impossible_spaces(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        LayerSpace(**({"layers": 12, "depth": 4} | arguments))
    assert str(caught.value) == message


# many layers


@pytest.mark.timeout(20)
def test_large_free_space() -> None:
    space = LayerSpace(48, 24, None, "free", keep_first=False)
    assert space.count == math.comb(48, 24)
    last = tuple(range(24, 48))
    assert space.unrank(space.count - 1) == last
    assert space.rank(last) == space.count - 1
    assert next(iter(space)) == tuple(range(24))
    rng = random.Random(0)
    subset = space.sample(rng)
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


# the model card


def card() -> list[Subset]:
    """The pruned rows of the reference's model card."""
    with CARD.open(encoding="utf-8", newline="") as file:
        kept = [subsets.parse(row["subset"]) for row in csv.DictReader(file)]
    return [subset for subset in kept if len(subset) < 22]


def test_every_row_of_the_card_can_be_expressed() -> None:
    rows = card()
    assert len(rows) == 26
    for subset in rows:
        assert subset in LayerSpace(22, len(subset), 3, "free", keep_first=False)


def test_strictest_rule_of_every_row_of_the_card() -> None:
    strictest = {}
    for subset in card():
        rules = [
            rule
            for rule in ("strict", "anchored", "free")
            if subset in LayerSpace(22, len(subset), 3, rule, keep_first=False)
        ]
        # each rule holds all that a stricter one holds
        assert rules in (["strict", "anchored", "free"], ["anchored", "free"], ["free"])
        strictest[subsets.key(subset)] = rules[0]
    loose = {key: rule for key, rule in strictest.items() if rule != "strict"}
    assert loose == {
        "0_1_2_3_4_5_6_7_8_9_10_12_18": "anchored",
        "0_1_2_3_4_5_6_7_8_9_12_15_18": "anchored",
        "0_1_2_3_4_5_6_7_8_10_12_15_18": "free",
        "0_1_2_3_4_5_6_7_9_12_15_18_21": "anchored",
        "0_1_2_3_6_7_8": "free",
        "0_1_2_3_6_7_12": "anchored",
        "0_1_2_3_6_8_12": "anchored",
        "0_1_2_3_6_8_18": "anchored",
    }


def test_rows_of_the_card_without_the_first_layer() -> None:
    dropped = [subsets.key(subset) for subset in card() if subset[0] != 0]
    assert dropped == [
        "9_10_11_12_13_14_15_16_17_18_19_20_21",
        "15_16_17_18_19_20_21",
        "18_19_20_21",
    ]
    for key in dropped:
        subset = subsets.parse(key)
        assert subset in LayerSpace(22, len(subset), 3, "strict", keep_first=False)
        assert subset not in LayerSpace(22, len(subset), 3, "free")
