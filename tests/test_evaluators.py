"""One contract over every evaluator, and the evaluator `table`."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

import evaluators
from evaluators import Context, InputError, TrialFailure, table

CARD = Path(__file__).resolve().parent.parent / "examples" / "card.csv"
SUBSET = (0, 1, 2, 18)


def make_table(_: Path) -> evaluators.Evaluator:
    options = table.Options(path=str(CARD), layers=22, period=3)
    return table.create(options, Context(None, CARD.parent))


def make_retrieval(toy: Path) -> evaluators.Evaluator:
    module = evaluators.load("retrieval")
    keys = {"steps": 2, "batch_size": 8, "train": {"data": "train.jsonl"}, "test": {"data": "test"}}
    options = module.Options.model_validate_json(json.dumps(keys))
    return module.create(options, Context(evaluators.BaseOptions(model="base"), toy, "cpu"))


MAKERS: dict[str, Callable[[Path], evaluators.Evaluator]] = {
    "table": make_table,
    "retrieval": make_retrieval,
}


@pytest.fixture(scope="module", params=evaluators.names())
def evaluator(request: pytest.FixtureRequest, toy: Path) -> evaluators.Evaluator:
    """Each evaluator; one without a maker above fails here, so that none goes untested."""
    return MAKERS[request.param](toy)


def test_it_describes_its_base(evaluator: evaluators.Evaluator) -> None:
    base = evaluator.description
    assert base.base
    assert (base.layers, base.period) == (22, 3)
    assert all(len(digest) == 64 for digest in base.fingerprints.values())
    assert base.fingerprints
    assert base.versions == evaluator.evaluate(SUBSET, 0).versions


def test_it_scores_a_subset_the_same_every_time(evaluator: evaluators.Evaluator) -> None:
    first, again = evaluator.evaluate(SUBSET, 3), evaluator.evaluate(SUBSET, 3)
    assert (first.mean, first.tasks) == (again.mean, again.tasks)
    assert 0 <= first.mean <= 1
    assert first.mean == pytest.approx(
        statistics.fmean(task.score for task in first.tasks.values()), abs=1e-4
    )
    for task in first.tasks.values():
        assert not task.queries or task.score == pytest.approx(
            statistics.fmean(task.queries.values())
        )


def test_it_reports_its_progress_to_the_end(evaluator: evaluators.Evaluator) -> None:
    stages: list[tuple[str, int, int]] = []
    evaluator.evaluate(SUBSET, 0, lambda *stage: stages.append(stage))
    name, done, total = stages[-1]
    assert (name, done) == ("evaluate", total)
    assert all(0 <= done <= total for _, done, total in stages)


@pytest.mark.parametrize("name", evaluators.names())
def test_its_options_are_frozen_and_know_no_unknown_keys(name: str) -> None:
    record = evaluators.load(name).Options
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        record.model_validate({"no_such_key": 1})
    assert record.model_config["frozen"]
    assert record.model_config["strict"]
    for key, field in record.model_fields.items():
        assert field.description, f"{name}: {key} has no description"


def test_an_unknown_evaluator_is_answered_with_the_choices() -> None:
    with pytest.raises(InputError, match=r"unknown evaluator 'tabel': choose one of .*table"):
        evaluators.load("tabel")
    with pytest.raises(InputError, match="unknown evaluator 'errors'"):
        evaluators.load("errors")


def written(tmp_path: Path, text: str, **options: object) -> evaluators.Evaluator:
    """The evaluator over a table with the content `text`."""
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8")
    keys = {"path": "scores.csv", "layers": 22} | options
    return table.create(table.Options.model_validate(keys), Context(None, tmp_path))


def test_the_card_is_replayed_to_the_digit() -> None:
    outcome = make_table(CARD).evaluate(SUBSET, 0)
    assert outcome.mean == 0.4530
    assert outcome.tasks["NanoFEVER"].score == 0.7230
    assert len(outcome.tasks) == 13


def test_a_subset_that_is_not_in_the_table_fails_its_trial() -> None:
    with pytest.raises(TrialFailure, match="no row for 0_1_2_17"):
        make_table(CARD).evaluate((0, 1, 2, 17), 0)


def test_noise_is_drawn_from_subset_and_seed(tmp_path: Path) -> None:
    noisy = written(tmp_path, "subset,mean,A\n0_1,0.5,0.4\n0_2,0.5,0.4\n", noise=0.01)
    means = [noisy.evaluate((0, 1), seed).mean for seed in range(400)]
    assert means[7] == noisy.evaluate((0, 1), 7).mean
    assert means[7] != noisy.evaluate((0, 2), 7).mean
    assert statistics.fmean(means) == pytest.approx(0.5, abs=0.002)
    assert statistics.stdev(means) == pytest.approx(0.01, rel=0.1)


INVENTING = "subset,mean,A,B\n0_1,0.5,0.4,0.6\n0_2,0.3,0.2,0.4\n"


def test_invented_queries_keep_the_score_of_their_task(tmp_path: Path) -> None:
    outcome = written(tmp_path, INVENTING, queries=50).evaluate((0, 1), 0)
    assert outcome.mean == 0.5
    for task, score in {"A": 0.4, "B": 0.6}.items():
        found = outcome.tasks[task]
        assert found.score == score
        assert list(found.queries) == [f"q{number}" for number in range(50)]
        assert statistics.fmean(found.queries.values()) == pytest.approx(score, rel=0, abs=1e-12)
    assert outcome.tasks["A"].queries != outcome.tasks["B"].queries


def test_invented_queries_follow_the_noise(tmp_path: Path) -> None:
    outcome = written(tmp_path, INVENTING, queries=9, noise=0.1).evaluate((0, 1), 0)
    assert outcome.tasks["A"].score != 0.4
    assert statistics.fmean(outcome.tasks["A"].queries.values()) == pytest.approx(
        outcome.tasks["A"].score, rel=0, abs=1e-12
    )


def test_invented_queries_are_drawn_from_task_subset_and_seed(tmp_path: Path) -> None:
    first, again = (written(tmp_path, INVENTING, queries=5) for _ in range(2))
    assert first.evaluate((0, 1), 0).tasks == again.evaluate((0, 1), 0).tasks
    assert first.evaluate((0, 1), 0).tasks != first.evaluate((0, 1), 1).tasks


def test_invented_queries_spread_and_correlate_as_real_ones(tmp_path: Path) -> None:
    inventing = written(tmp_path, INVENTING, queries=20_000)
    one, other = (
        list(inventing.evaluate(subset, 0).tasks["A"].queries.values())
        for subset in ((0, 1), (0, 2))
    )
    assert statistics.stdev(one) == pytest.approx(0.35, rel=0.02)
    assert statistics.stdev(other) == pytest.approx(0.35, rel=0.02)
    assert statistics.correlation(one, other) == pytest.approx(0.85, abs=0.01)


def test_without_task_columns_queries_belong_to_one_task(tmp_path: Path) -> None:
    text = "subset,mean\n0_1,0.5\n"
    assert written(tmp_path, text).evaluate((0, 1), 0).tasks == {}
    tasks = written(tmp_path, text, queries=3).evaluate((0, 1), 0).tasks
    assert list(tasks) == ["table"]
    assert tasks["table"].score == 0.5
    assert len(tasks["table"].queries) == 3


def test_an_evaluation_takes_as_long_as_asked(tmp_path: Path) -> None:
    slow = written(tmp_path, INVENTING, seconds=0.05)
    start = time.perf_counter()
    outcome = slow.evaluate((0, 1), 0)
    assert time.perf_counter() - start >= outcome.seconds["evaluate"] >= 0.05
    assert written(tmp_path, INVENTING).evaluate((0, 1), 0).seconds["evaluate"] < 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subset,score\n0_1,0.5\n", "no column 'mean'"),
        ("", "no column 'subset'"),
        ("subset,mean\n1_0,0.5\n", "line 2: '1_0' is not a subset"),
        ("subset,mean\n0_01,0.5\n", "'0_01' is not a subset"),
        ("subset,mean\n0_22,0.5\n", "layer 22 does not exist in a base of 22 layers"),
        ("subset,mean\n0_1,high\n", "line 2: 'high' is not a number"),
        ("subset,mean\n0_1,nan\n", "'nan' is not a number"),
        ("subset,mean,A\n0_1,0.5\n", "None is not a number"),
        ("subset,mean\n0_1,0.5\n0_1,0.6\n", "line 3: 0_1 appears twice"),
    ],
)
def test_a_table_with_a_mistake_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        written(tmp_path, text)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    options = table.Options(path="nowhere.csv", layers=4)
    with pytest.raises(InputError, match=r"no such file: .*nowhere\.csv \(evaluator\.path\)"):
        table.create(options, Context(None, tmp_path))
