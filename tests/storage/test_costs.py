"""Costs and speeds in the store, and the view of the depths over them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from storage.costs import CostRecord, SpeedRecord, read_costs, read_speeds, record_costs
from storage.leaderboard import rank_depths
from storage.queue import Result
from storage.states import Origin
from storage.studies import StudyRecord, delete_study
from storage.values.subset_key import Subset
from tests.support.stores import begin, finish_trial, new_trial, query
from tests.support.workers import on_one_database

LAYERS = 6
WHOLE: Subset = tuple(range(LAYERS))
COST = CostRecord(100, 60, 30, 400, 7, 9)
SPEED = SpeedRecord("cpu", 2.0, 1.5, 2.5, 200.0, 100.0, 7, 64, 32, 2, "fp32")


def begin_small(engine: Engine, name: str = "s") -> StudyRecord:
    """Begin a study of depths 1 to 6 over a base of 6 layers."""
    return begin(engine, dict.fromkeys(range(1, LAYERS + 1), 9), name, layers=LAYERS)


def score(engine: Engine, study: StudyRecord, subset: Subset, mean: float) -> None:
    """Record one trial of a subset."""
    finish_trial(engine, study, new_trial(subset, origin=Origin.MANUAL), Result(mean))


def depth_rows(engine: Engine, *names: str) -> dict[int, Any]:
    """Return columns of the view `depths` by depth: the value of one, a tuple of several."""
    rows = rank_depths(engine, "s")
    return {
        row["depth"]: row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)
        for row in rows
    }


def test_what_is_stored_is_read(engine: Engine) -> None:
    study, other = begin_small(engine), begin_small(engine, "other")
    record_costs(engine, study.id, {(0, 1): COST}, {(0, 1): SPEED})
    record_costs(engine, other.id, {(0, 2): COST}, {})

    assert read_costs(engine, study.id) == {(0, 1): COST}
    assert read_speeds(engine, study.id) == {(0, 1): SPEED}
    assert read_costs(engine, other.id) == {(0, 2): COST}
    assert read_speeds(engine, other.id) == {}


def test_the_latest_takes_the_place_of_an_earlier_one(engine: Engine) -> None:
    study = begin_small(engine)
    faster, on_gpu = replace(SPEED, speedup=3.0), replace(SPEED, device="H100", speedup=1.1)
    record_costs(engine, study.id, {(0, 1): COST}, {(0, 1): SPEED})
    record_costs(engine, study.id, {(0, 1): replace(COST, bytes=1)}, {(0, 1): faster})
    assert read_costs(engine, study.id)[0, 1].bytes == 1
    assert read_speeds(engine, study.id) == {(0, 1): faster}

    record_costs(engine, study.id, {}, {(0, 1): on_gpu})
    assert read_speeds(engine, study.id) == {(0, 1): on_gpu}
    assert read_speeds(engine, study.id, "cpu") == {(0, 1): faster}
    measured = query(engine, "SELECT study, depth, subset, device, speedup FROM speeds")
    assert set(measured) == {("s", 2, "0_1", "H100", 1.1), ("s", 2, "0_1", "cpu", 3.0)}


def test_large_models_fit(engine: Engine) -> None:
    study = begin_small(engine)
    large = CostRecord(*([2**40] * 6))
    record_costs(engine, study.id, {(0, 1): large}, {})
    assert read_costs(engine, study.id) == {(0, 1): large}


def test_costs_go_with_their_study(engine: Engine) -> None:
    study = begin_small(engine)
    record_costs(engine, study.id, {(0, 1): COST}, {(0, 1): SPEED})
    delete_study(engine, "s")
    for table in ("search_costs", "search_speeds"):
        assert query(engine, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - ours
    record_costs(engine, study.id, {(0, 1): COST}, {(0, 1): SPEED})
    assert read_costs(engine, study.id) == {}


# the view


def test_the_reference_comes_first(engine: Engine) -> None:
    study = begin_small(engine)
    for subset, mean in (((0, 1), 0.4), ((3,), 0.2), (WHOLE, 0.5)):
        score(engine, study, subset, mean)
    rows = rank_depths(engine, "s")
    assert [(row["depth"], row["reference"], row["leader"]) for row in rows] == [
        (6, 1, "0_1_2_3_4_5"),
        (1, 0, "3"),
        (2, 0, "0_1"),
    ]
    assert [row["retained"] for row in rows] == pytest.approx([1, 0.4, 0.8])


def test_a_depth_costs_what_its_leader_costs(engine: Engine) -> None:
    study = begin_small(engine)
    score(engine, study, (0, 1), 0.4)
    score(engine, study, (0, 2), 0.5)
    record_costs(engine, study.id, {(0, 1): replace(COST, bytes=1), (0, 2): COST}, {})
    assert depth_rows(engine, "bytes", "speedup", "device") == {2: (400, None, None)}


def test_a_speed_counts_for_all_subsets_of_its_depth_and_cost(engine: Engine) -> None:
    study = begin_small(engine)
    score(engine, study, (0, 2), 0.5)
    score(engine, study, (0, 2, 3), 0.6)
    wider = replace(COST, document_flops=10)
    costs = {(0, 1): COST, (0, 2): COST, (0, 3): wider, (0, 2, 3): COST}
    record_costs(engine, study.id, costs, {(0, 3): replace(SPEED, speedup=9.0)})
    assert depth_rows(engine, "speedup") == {2: None, 3: None}

    record_costs(engine, study.id, {}, {(0, 1): SPEED})
    assert depth_rows(engine, "speedup", "threads") == {2: (2.0, 2), 3: (None, None)}


@pytest.mark.parametrize("priced", [False, True])
@on_one_database
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.integers(1, 3)), max_size=5))
def test_pareto_optimal_depths_are_beaten_by_none(
    engine: Engine, *, priced: bool, found: list[tuple[float, int]]
) -> None:
    if "s" in {name for (name,) in query(engine, "SELECT name FROM search_studies")}:
        delete_study(engine, "s")
    study = begin_small(engine)
    by_depth = {}
    for depth, (mean, flops) in enumerate(found, 1):
        subset = tuple(range(depth))
        score(engine, study, subset, mean)
        if priced:
            record_costs(engine, study.id, {subset: replace(COST, document_flops=flops)}, {})
        by_depth[depth] = (mean, flops if priced else depth)

    def is_beaten(mean: float, price: int) -> bool:
        return any(
            other >= mean and at <= price and (other, at) != (mean, price)
            for other, at in by_depth.values()
        )

    assert depth_rows(engine, "pareto_optimal") == {
        depth: int(not is_beaten(*pair)) for depth, pair in by_depth.items()
    }
