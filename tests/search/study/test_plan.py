"""The plan of a study: its spaces, its sampler, its evaluator and the subsets to try first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import evaluators
from evaluators import table
from evaluators.table import TableEvaluator
from search import samplers
from search.errors import InputError
from search.samplers.gp import GPSampler
from search.samplers.swap import SwapSampler
from search.space import LayerSpace, Subset, cadences, format_subset
from search.study.file import parse_study_file
from search.study.plan import (
    DepthPlan,
    _build_sampler,
    _first_subsets,
    add_hints,
    build_evaluator,
    build_space,
    plan_depths,
    require_depths,
    require_layers,
)
from tests.support.study_files import GEMMA, MINILM, MMBERT, full, short


def plan_one(**sections: object) -> DepthPlan:
    """Return the plan of depth 4 of the full study file, with other sections."""
    return plan_depths(parse_study_file(full() | sections), MMBERT)[4]


# the whole plan


def test_each_depth_has_a_plan() -> None:
    file = parse_study_file(full() | {"space": {}})
    plans = plan_depths(file, MMBERT)
    assert list(plans) == [4, 7, 13]
    for depth, plan in plans.items():
        assert plan.space == plan.sampler.space == LayerSpace(22, depth)
        assert (plan.sampler_name, plan.seed, plan.replicates) == ("swap", 12, "auto")
        assert plan.first == _first_subsets(file, plan.space)
        assert plan.hints == ()


def test_subsets_outside_the_space_are_named() -> None:
    plans = plan_depths(parse_study_file(full() | {"space": {}}), MMBERT)
    assert plans[7].outside == [(0, 1, 2, 3, 6, 8, 18)]
    assert plans[4].outside == []


@pytest.mark.parametrize("transfer", [True, False])
def test_repeats_are_chosen_among_all_subsets_of_the_depth(*, transfer: bool) -> None:
    surrogate = plan_one(sampler={"name": "gp", "transfer": transfer}).surrogate
    assert surrogate.space == LayerSpace(22, 4, 3, "free", keep_first=False)
    assert surrogate.transfer == transfer


# the space


def test_space_follows_the_file() -> None:
    expected = LayerSpace(22, 7, 3, "anchored", keep_first=False, pinned={18}, forbidden={1, 20})
    assert build_space(parse_study_file(full()), 7, MMBERT) == expected


def test_period_is_the_bases_when_left_out() -> None:
    data = full()
    del data["space"]["period"]
    assert build_space(parse_study_file(data), 7, MMBERT).period == 3
    data["space"] = {"cadence": "free"}
    assert build_space(parse_study_file(data), 4, MINILM) == LayerSpace(6, 4, None, "free")


def test_rhythm_is_the_bases_in_either_phase() -> None:
    data = full() | {"space": {"cadence": "periodic", "period": 6, "phase": "last"}}
    expected = LayerSpace(24, 7, 6, "periodic", phase="last")
    assert build_space(parse_study_file(data), 7, GEMMA) == expected
    data["space"] = {"cadence": "periodic"}
    assert build_space(parse_study_file(data), 7, GEMMA) == expected


@pytest.mark.parametrize(
    ("space", "base", "message"),
    [
        ({"period": 4}, MMBERT, "space.period = 4, but the rhythm of mmBERT-small is 3: "),
        (
            {"cadence": "free", "period": 3},
            MINILM,
            "space.period = 3, but all-MiniLM-L6-v2 has no attention rhythm: leave the key out",
        ),
        ({"period": 3}, GEMMA, "space.period = 3, but the rhythm of embeddinggemma-300m is 6: "),
        (
            {"phase": "first"},
            GEMMA,
            "space.phase = 'first', but the global layers of embeddinggemma-300m come last: leave",
        ),
        (
            {"phase": "last", "period": 3},
            MMBERT,
            "space.phase = 'last', but the global layers of mmBERT-small come first: leave the key",
        ),
        (
            {"cadence": "free", "phase": "first"},
            MINILM,
            "space.phase = 'first', but all-MiniLM-L6-v2 has no attention rhythm: leave the key",
        ),
        (
            {"cadence": "strict"},
            MINILM,
            "cadence 'strict' needs an attention rhythm; the base has none: use 'free'",
        ),
        ({"pinned": [22]}, MMBERT, "layer 22 does not exist: the base has layers 0 to 21"),
        ({"forbidden": [0]}, MMBERT, "layer 0 is both kept and forbidden (keep_first keeps "),
        ({"pinned": [5, 6], "forbidden": [6]}, MMBERT, "layer 6 is both kept and forbidden: "),
        ({"pinned": [1, 2, 3, 4]}, MMBERT, "depth 4 cannot hold the 5 pinned layers (0, 1, 2, "),
    ],
)
def test_impossible_spaces(
    space: dict[str, Any], base: evaluators.Description, message: str
) -> None:
    file = parse_study_file(full() | {"space": space})
    with pytest.raises(InputError) as caught:
        build_space(file, 4, base)
    where = f"study {file.study.name!r}, [space] at depth 4: "
    assert str(caught.value).removeprefix(where).startswith(message)
    assert str(caught.value).startswith((where, "space.p"))


def test_depth_of_a_smaller_base() -> None:
    data = full() | {"space": {"cadence": "free"}}
    data["study"]["first"] = []
    file = parse_study_file(data)
    message = r"\[space\] at depth 7: depth 7 is impossible: the base has 6 layers$"
    with pytest.raises(InputError, match=message):
        build_space(file, 7, MINILM)
    with pytest.raises(InputError, match=message):
        plan_depths(file, MINILM)


# the sampler


def test_sampler_takes_its_options_and_the_seed_of_the_study() -> None:
    sampler = _build_sampler(parse_study_file(full()), LayerSpace(22, 7))
    assert isinstance(sampler, SwapSampler)
    assert sampler.space == LayerSpace(22, 7)
    assert (sampler.seed, sampler.startup, sampler.explore) == (12, 12, 0.25)


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_can_be_chosen_by_its_name_alone(name: str) -> None:
    file = parse_study_file(full() | {"sampler": {"name": name}})
    sampler = _build_sampler(file, LayerSpace(22, 7))
    assert type(sampler) is samplers.load(name)
    assert sampler.seed == 12
    assert sampler.next_subset([]) in LayerSpace(22, 7)


def favour_late_layers(subsets: Sequence[Subset]) -> NDArray[np.float64]:
    """Return a guess at the scores of subsets."""
    return np.array([float(sum(subset)) for subset in subsets])


def test_hints_go_to_a_sampler_that_takes_any() -> None:
    hints = [favour_late_layers]
    file = parse_study_file(full() | {"sampler": {"name": "gp", "startup": 7}})
    hinted = add_hints(plan_one(sampler={"name": "gp", "startup": 7}), file, hints)
    assert isinstance(hinted.sampler, GPSampler)
    assert hinted.sampler.surrogate.hints == hinted.surrogate.hints == tuple(hints)
    assert (hinted.sampler.seed, hinted.sampler.startup) == (12, 7)

    plan = plan_one()
    swapping = add_hints(plan, parse_study_file(full()), hints)
    assert isinstance(swapping.sampler, SwapSampler)
    assert swapping.surrogate.hints == tuple(hints)  # repeats are chosen by them all the same
    assert (swapping.space, swapping.first) == (plan.space, plan.first)


# the evaluator


def test_evaluator_is_built_from_its_options(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("subset,mean\n0_1_2_18,0.453\n", encoding="utf-8")
    evaluator = build_evaluator(short('period = 3\nphase = "last"\n'), tmp_path)
    assert isinstance(evaluator, TableEvaluator)
    described = evaluator.description
    assert (described.base, described.layers) == ("scores", 22)
    assert (described.period, described.phase) == (3, "last")
    assert evaluator.evaluate((0, 1, 2, 18), 0).mean == 0.453


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(evaluators.InputError, match=r"scores\.csv"):
        build_evaluator(short(), tmp_path)


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[evaluators.Context]:
    """The contexts in which evaluators are built, noted as they are."""
    found: list[evaluators.Context] = []
    (tmp_path / "scores.csv").write_text("subset,mean\n0_1_2_18,0.453\n", encoding="utf-8")
    create = table.Options.create

    def noted(self: table.Options, context: evaluators.Context) -> TableEvaluator:
        found.append(context)
        return create(self, context)

    monkeypatch.setattr(table.Options, "create", noted)
    return found


@pytest.mark.parametrize("base_only", [True, False])
def test_only_trials_may_leave_checkpoints(
    tmp_path: Path, contexts: list[evaluators.Context], *, base_only: bool
) -> None:
    build_evaluator(short(), tmp_path, "cpu", base_only=base_only)
    (context,) = contexts
    assert (context.base, context.folder, context.device) == (None, tmp_path, "cpu")
    assert context.base_only == base_only
    assert (context.scratch is None) == base_only


@pytest.mark.parametrize("cadence", cadences.names())
def test_evaluator_is_told_whether_cut_models_have_a_rhythm_of_their_own(
    tmp_path: Path, contexts: list[evaluators.Context], cadence: str
) -> None:
    file = short()
    space = file.space.model_copy(update={"cadence": cadence})
    build_evaluator(file.model_copy(update={"space": space}), tmp_path)
    (context,) = contexts
    assert context.own_rhythm == (cadence == "periodic")


# the subsets to try first


def test_first_subsets_without_repeats() -> None:
    file = parse_study_file(full())
    keys = [format_subset(subset) for subset in _first_subsets(file, LayerSpace(22, 4))]
    front = [f"0_1_2_{layer}" for layer in (21, 18, 15, 12, 9, 6, 3)]
    assert keys == [*front, "0_19_20_21"]  # 0_1_2_18 is in `front` already

    seventh = [format_subset(subset) for subset in _first_subsets(file, LayerSpace(22, 7))]
    assert "0_1_2_3_6_8_18" in seventh  # outside the strict space, and wanted all the same
    assert seventh[-1] == "0_16_17_18_19_20_21"


def test_families_without_a_subset_are_named_with_the_reason() -> None:
    data = full() | {"space": {"forbidden": [2]}}
    data["study"]["first"] = ["front", "alternate", "back", "bottom", "front"]
    plans = plan_depths(parse_study_file(data), MMBERT)
    gone = "layer 2 is forbidden"
    assert plans[4].missing == {"front": gone}
    assert plans[13].missing == {
        "front": gone,
        "alternate": "every second of 22 layers are only 11",
    }
    assert plans[4].first == [(0, 7, 14, 21), (0, 19, 20, 21), (0, 1, 2, 3)]
    assert plans[4].outside == [(0, 1, 2, 3)]


def test_first_subsets_need_layers_that_exist() -> None:
    data = full()
    data["study"]["first"] = ["0_1_2_18"]
    with pytest.raises(InputError) as caught:
        _first_subsets(parse_study_file(data), LayerSpace(12, 4))
    assert str(caught.value) == "study.first: 0_1_2_18, but the base has only 12 layers"


# requests that do not fit


def test_only_depths_of_the_study_can_be_asked_for() -> None:
    file = parse_study_file(full())
    require_depths(file, None)
    require_depths(file, [13, 4])
    with pytest.raises(InputError) as caught:
        require_depths(file, [4, 5])
    assert str(caught.value) == "study 'mmbert-small.v1' has no depth 5: it has 4, 7, 13"


def test_a_subset_needs_layers_that_exist() -> None:
    require_layers(MINILM, (0, 5))
    with pytest.raises(InputError) as caught:
        require_layers(MINILM, (0, 6))
    message = "layer 6 does not exist: all-MiniLM-L6-v2 has layers 0 to 5"
    assert str(caught.value) == message
