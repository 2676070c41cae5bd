"""Costs of the depths of a study: counted, and measured once, never beside a running trial."""

from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import Engine

from evaluators import Cost, Progress, Speed, silent
from search.analysis.costs import count_costs, find_speed, list_depths, measure_speeds
from search.errors import SearchError
from search.space import Subset
from storage.costs import CostRecord, read_costs, read_speeds
from storage.queue import Result, WorkerId
from storage.queue.trial_queue import TrialQueue
from storage.states import Origin
from storage.studies import StudyRecord
from tests.support.stores import begin, finish_trial, new_trial
from tests.support.study_files import short
from tests.support.workers import Sums, on_one_database

WHOLE: Subset = (0, 1, 2, 3, 4, 5)
pytestmark = on_one_database


class Measured(Sums):
    """An evaluator whose layers cost 10 parameters each; layer 5 costs more."""

    device_name = "abacus"

    def __init__(self) -> None:
        super().__init__()
        self.timed: list[Subset] = []

    def count_cost(self, subset: Subset) -> Cost:
        """Return a cost by the number of layers."""
        layers = 10 * len(subset) + (5 in subset)
        return Cost(100 + layers, 90, layers, 4 * (100 + layers), layers, 2 * layers)

    def measure_speed(self, subset: Subset, progress: Progress = silent) -> Speed:
        """Return a speed by the number of layers."""
        self.timed.append(subset)
        progress("measure", 1, 2)
        ratio = 6 / len(subset)
        return Speed(self.device_name, (ratio, ratio + 1, ratio - 0.5), 20, 10, 8, 4, 2, "fp32")


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study with scores at depths 2 and 3, and of the whole base."""
    file = short().plain()
    found = begin(engine, {2: 9, 3: 9, 6: 0}, file=file, layers=6)
    for subset, mean in (((0, 1), 0.4), ((0, 2), 0.3), ((0, 1, 2), 0.6), (WHOLE, 0.8)):
        finish_trial(engine, found, new_trial(subset, origin=Origin.MANUAL), Result(mean))
    return found


def test_leaders_and_the_whole_base_are_counted(engine: Engine, study: StudyRecord) -> None:
    costs = count_costs(engine, study, Measured(), WHOLE)
    assert list(costs) == [WHOLE, (0, 1), (0, 1, 2)]
    assert costs[0, 1] == CostRecord(120, 90, 20, 480, 20, 40)
    assert read_costs(engine, study.id) == costs


def test_speeds_are_the_median_of_their_ratios(engine: Engine, study: StudyRecord) -> None:
    evaluator = Measured()
    events: list[tuple[str, int, int]] = []
    costs = count_costs(engine, study, evaluator, WHOLE)
    found = measure_speeds(
        engine, study, evaluator, costs, progress=lambda *event: events.append(event)
    )

    assert found == 3
    speed = read_speeds(engine, study.id)[0, 1]
    assert (speed.speedup, speed.speedup_low, speed.speedup_high) == (3, 2.5, 4)
    assert (speed.rounds, speed.device, speed.documents) == (3, "abacus", 8)
    assert events == [("measure", done, 6) for done in (1, 3, 5)]


def test_what_was_measured_is_measured_again_only_when_asked(
    engine: Engine, study: StudyRecord
) -> None:
    evaluator = Measured()
    costs = count_costs(engine, study, evaluator, WHOLE)
    measure_speeds(engine, study, evaluator, costs)
    assert measure_speeds(engine, study, evaluator, costs) == 0
    assert measure_speeds(engine, study, evaluator, costs, again=True) == 3

    evaluator.device_name = "slide rule"
    assert measure_speeds(engine, study, evaluator, costs) == 3


def test_a_new_leader_that_costs_the_same_is_as_fast(engine: Engine, study: StudyRecord) -> None:
    evaluator = Measured()
    measure_speeds(engine, study, evaluator, count_costs(engine, study, evaluator, WHOLE))
    for subset in ((1, 2), (1, 5)):
        evaluator.timed.clear()
        mean = 0.5 + sum(subset) / 100
        finish_trial(engine, study, new_trial(subset), Result(mean))
        measure_speeds(engine, study, evaluator, count_costs(engine, study, evaluator, WHOLE))
        assert evaluator.timed == ([subset] if 5 in subset else [])


def test_nothing_is_measured_beside_a_running_trial(engine: Engine, study: StudyRecord) -> None:
    evaluator = Measured()
    costs = count_costs(engine, study, evaluator, WHOLE)
    me = WorkerId.current()
    neighbour = TrialQueue(engine, study, WorkerId(me.host, "1", "2", "elsewhere"))
    claim = neighbour.claim(new_trial((3, 4)))
    with pytest.raises(SearchError, match=r"run trials \(1\), which would disturb it"):
        measure_speeds(engine, study, evaluator, costs)
    assert evaluator.timed == []

    neighbour.give_back(claim)
    stranger = TrialQueue(engine, study, WorkerId("other.example", "1", "2", "elsewhere"))
    stranger.claim(new_trial((2, 4)))  # another machine may work on
    assert measure_speeds(engine, study, evaluator, costs) == 3


def test_one_process_measures_at_a_time(
    engine: Engine, study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path))
    costs = count_costs(engine, study, Measured(), WHOLE)
    with (
        FileLock(tmp_path / "measure.lock"),
        pytest.raises(SearchError, match="another process of this machine measures"),
    ):
        measure_speeds(engine, study, Measured(), costs)


def test_the_speed_of_a_subset_is_that_of_its_cost(engine: Engine, study: StudyRecord) -> None:
    evaluator = Measured()
    measure_speeds(engine, study, evaluator, count_costs(engine, study, evaluator, WHOLE))
    costs, speeds = read_costs(engine, study.id), read_speeds(engine, study.id)

    alike = find_speed(costs, speeds, (2, 3), costs[0, 1])
    assert alike is not None
    assert alike.speedup == 3
    assert find_speed(costs, speeds, (2, 5), CostRecord(121, 90, 21, 484, 21, 42)) is None


def test_rows_have_the_answer_of_each_depth(engine: Engine, study: StudyRecord) -> None:
    rows = list_depths(engine, study)
    assert [(row["depth"], row["reference"], row["answer"]) for row in rows] == [
        (6, 1, None),
        (2, 0, "0_1"),
        (3, 0, "0_1_2"),
    ]
    assert list(rows[0])[10] == "answer"
