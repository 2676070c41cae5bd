"""The costs of a study's depths: counted, measured, and put beside the scores."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Engine

import evaluators
from search.analysis.answer import Answer, find_answers
from search.errors import SearchError
from search.space import Subset, format_subset, parse_subset
from storage.costs import CostRecord, SpeedRecord, read_costs, read_speeds, record_costs
from storage.leaderboard import Row, best_per_depth, rank_depths
from storage.queue import TrialQueue, private_folder
from storage.studies import StudyRecord


def list_depths(engine: Engine, study: StudyRecord) -> list[dict[str, Any]]:
    """Return the rows of the view `depths` of one study, with the answer of each depth.

    The reference comes first, and has no answer: there is nothing to choose.
    """
    answers = {one.depth: one for one in find_answers(engine, study, study.searched_depths)}
    return [_with_answer(row, answers) for row in rank_depths(engine, study.name)]


def _with_answer(row: Row, answers: Mapping[int, Answer]) -> dict[str, Any]:
    """Return a row of the view with the answer of its depth, after the pick."""
    answer = answers.get(row["depth"])
    text = None if answer is None or row["reference"] else format_subset(answer.subset)

    columns = list(row.items())
    place = 1 + list(row).index("pick_mean")
    return dict([*columns[:place], ("answer", text), *columns[place:]])


def count_costs(
    engine: Engine, study: StudyRecord, evaluator: evaluators.Measurable, whole: Subset
) -> dict[Subset, CostRecord]:
    """Count and store the cost of the leader of each depth, and of the whole base.

    Args:
        engine: the store.
        study: the study.
        evaluator: its evaluator.
        whole: the subset that keeps all layers.

    Returns:
        The cost by subset, the whole base first.
    """
    leaders = [parse_subset(row["leader"]) for row in best_per_depth(engine, study.name)]
    costs = {
        subset: CostRecord(**asdict(evaluator.count_cost(subset)))
        for subset in dict.fromkeys([whole, *leaders])
    }
    record_costs(engine, study.id, costs, {})
    return costs


def measure_speeds(
    engine: Engine,
    study: StudyRecord,
    evaluator: evaluators.Measurable,
    costs: Mapping[Subset, CostRecord],
    *,
    again: bool = False,
    progress: evaluators.Progress = evaluators.silent,
) -> int:
    """Measure and store the speeds that are missing on the evaluator's device.

    Subsets of one depth that cost the same are as fast as each other: one of them is measured.

    Args:
        engine: the store.
        study: the study.
        evaluator: its evaluator.
        costs: cost of each subset to measure.
        again: measure also what was measured on this device before.
        progress: called after each round of each measurement.

    Returns:
        Number of subsets that were measured.

    Raises:
        SearchError: another worker of this machine runs a trial, or another process measures.
    """
    known = read_costs(engine, study.id)
    device = evaluator.device_name
    there = () if again else read_speeds(engine, study.id, device)
    done = {_kind(subset, known.get(subset)) for subset in there}
    missing = [subset for subset, cost in costs.items() if _kind(subset, cost) not in done]
    if not missing:
        return 0

    with _alone(engine, study):
        for number, subset in enumerate(missing):
            found = evaluator.measure_speed(subset, _shifted(progress, number, len(missing)))
            record_costs(engine, study.id, {}, {subset: _record_of(found)})
    return len(missing)


def find_speed(
    costs: Mapping[Subset, CostRecord],
    speeds: Mapping[Subset, SpeedRecord],
    subset: Subset,
    cost: CostRecord,
) -> SpeedRecord | None:
    """Return the latest speed of a subset with the depth and the cost of `subset`, if there is one.

    Args:
        costs: stored costs.
        speeds: stored speeds, the latest first.
        subset: the kept layers.
        cost: its cost.
    """
    same = (speeds[s] for s in speeds if _kind(s, costs.get(s)) == _kind(subset, cost))
    return next(same, None)


def _kind(subset: Subset, cost: CostRecord | None) -> tuple[int, CostRecord | None]:
    """Return depth and cost of a subset; where both agree, two subsets count as equally fast."""
    return len(subset), cost


def _record_of(speed: evaluators.Speed) -> SpeedRecord:
    """Return a measured speed as the store keeps it: the median of its ratios, and their range."""
    fields = asdict(speed)
    ratios: Sequence[float] = fields.pop("ratios")
    return SpeedRecord(
        speedup=statistics.median(ratios),
        speedup_low=min(ratios),
        speedup_high=max(ratios),
        rounds=len(ratios),
        **fields,
    )


def _shifted(progress: evaluators.Progress, number: int, of: int) -> evaluators.Progress:
    """Return a progress of one measurement that reports to that of all."""
    return lambda name, done, total: progress(name, number * total + done, of * total)


@contextmanager
def _alone(engine: Engine, study: StudyRecord) -> Iterator[None]:
    """Let one process of this machine measure, while none of its workers runs a trial.

    Raises:
        SearchError: a worker runs a trial, or another process measures.
    """
    if running := TrialQueue(engine, study).running_beside():
        message = f"other workers of this machine run trials ({running}), which would disturb it"
        raise SearchError(message)

    try:
        with FileLock(private_folder() / "measure.lock", timeout=0, mode=0o600):
            yield
    except Timeout as error:
        message = "another process of this machine measures"
        raise SearchError(message) from error
