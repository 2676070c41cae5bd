"""The evaluator `table`: a CSV is replayed, and a mistake in it is named."""

import statistics
import time
from pathlib import Path

import pytest

from evaluators import Context, InputError, TrialFailure, table

CARD = Path(__file__).resolve().parents[2] / "examples" / "card.csv"
SUBSET = (0, 1, 2, 18)
INVENTING = "subset,mean,A,B\n0_1,0.5,0.4,0.6\n0_2,0.3,0.2,0.4\n"


def card() -> table.TableEvaluator:
    """The evaluator over the card's table."""
    options = table.Options(path=str(CARD), layers=22, period=3)
    return options.create(Context(None, CARD.parent))


def written(tmp_path: Path, text: str, **options: object) -> table.TableEvaluator:
    """The evaluator over a table with the content `text`."""
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8")
    keys = {"path": "scores.csv", "layers": 22} | options
    return table.Options.model_validate(keys).create(Context(None, tmp_path))


def test_the_card_is_replayed_to_the_digit() -> None:
    evaluation = card().evaluate(SUBSET, 0)

    assert evaluation.mean == 0.4530
    assert evaluation.tasks["NanoFEVER"].score == 0.7230
    assert len(evaluation.tasks) == 13


def test_a_subset_that_is_not_in_the_table_fails_its_trial() -> None:
    with pytest.raises(TrialFailure, match="no row for 0_1_2_17"):
        card().evaluate((0, 1, 2, 17), 0)


@pytest.mark.parametrize(
    ("options", "rhythm"),
    [({}, (None, "first")), ({"period": 6, "phase": "last"}, (6, "last"))],
)
def test_it_describes_the_rhythm_of_its_base(
    tmp_path: Path, options: dict[str, object], rhythm: tuple[object, ...]
) -> None:
    described = written(tmp_path, "subset,mean\n0_1,0.5\n", **options).description

    assert (described.period, described.phase) == rhythm


def test_noise_is_drawn_from_subset_and_seed(tmp_path: Path) -> None:
    noisy = written(tmp_path, "subset,mean,A\n0_1,0.5,0.4\n0_2,0.5,0.4\n", noise=0.01)

    means = [noisy.evaluate((0, 1), seed).mean for seed in range(400)]

    assert means[7] == noisy.evaluate((0, 1), 7).mean
    assert means[7] != noisy.evaluate((0, 2), 7).mean
    assert statistics.fmean(means) == pytest.approx(0.5, abs=0.002)
    assert statistics.stdev(means) == pytest.approx(0.01, rel=0.1)


def test_invented_queries_keep_the_score_of_their_task(tmp_path: Path) -> None:
    evaluation = written(tmp_path, INVENTING, queries=50).evaluate((0, 1), 0)

    assert evaluation.mean == 0.5
    for task, score in {"A": 0.4, "B": 0.6}.items():
        found = evaluation.tasks[task]
        assert found.score == score
        assert list(found.queries) == [f"q{number}" for number in range(50)]
        assert statistics.fmean(found.queries.values()) == pytest.approx(score, rel=0, abs=1e-12)
    assert evaluation.tasks["A"].queries != evaluation.tasks["B"].queries


def test_invented_queries_follow_the_noise(tmp_path: Path) -> None:
    evaluation = written(tmp_path, INVENTING, queries=9, noise=0.1).evaluate((0, 1), 0)

    assert evaluation.tasks["A"].score != 0.4
    assert statistics.fmean(evaluation.tasks["A"].queries.values()) == pytest.approx(
        evaluation.tasks["A"].score, rel=0, abs=1e-12
    )


def test_invented_queries_are_drawn_from_task_subset_and_seed(tmp_path: Path) -> None:
    first, again = (written(tmp_path, INVENTING, queries=5) for _ in range(2))

    assert first.evaluate((0, 1), 0).tasks == again.evaluate((0, 1), 0).tasks
    assert first.evaluate((0, 1), 0).tasks != first.evaluate((0, 1), 1).tasks


def test_invented_queries_deviate_and_correlate_as_real_ones(tmp_path: Path) -> None:
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
    evaluation = slow.evaluate((0, 1), 0)

    assert time.perf_counter() - start >= evaluation.seconds["evaluate"] >= 0.05
    assert written(tmp_path, INVENTING).evaluate((0, 1), 0).seconds["evaluate"] < 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subset,score\n0_1,0.5\n", "no column 'mean'"),
        ("", "no column 'subset'"),
        ("subset,mean,\x1b[2J\n0_1,0.5,0.5\n", r"'\\x1b\[2J' is no name of a task"),
        ("subset,mean,\n0_1,0.5,0.5\n", "'' is no name of a task"),
        ("subset,mean\n1_0,0.5\n", "line 2: '1_0' is not a subset"),
        ("subset,mean\n0_01,0.5\n", "'0_01' is not a subset"),
        ("subset,mean\n,0.5\n", "'' is not a subset"),
        ("subset,mean\n0_x,0.5\n", "'0_x' is not a subset"),
        ("subset,mean\n0_0,0.5\n", "'0_0' is not a subset"),
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
        options.create(Context(None, tmp_path))
