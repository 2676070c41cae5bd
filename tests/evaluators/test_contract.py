"""One contract over every evaluator that is found by its name."""

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

import evaluators
from evaluators import Context, EvaluatorOptions, table
from evaluators._errors import first_line
from search import errors, plugins
from tests.support import retrieval

CARD = Path(__file__).resolve().parents[2] / "examples" / "card.csv"
SUBSET = (0, 1, 2, 18)
NAMES = plugins.names(evaluators)


def make_table(_: Path) -> evaluators.Evaluator:
    options = table.Options(path=str(CARD), layers=22, period=3)
    return options.create(Context(None, CARD.parent))


def make_retrieval(small_toy: Path) -> evaluators.Evaluator:
    return retrieval.build(
        small_toy, {"steps": 2, "batch_size": 8, "train": {"data": "train.jsonl"}}
    )


MAKERS: dict[str, Callable[[Path], evaluators.Evaluator]] = {
    "table": make_table,
    "retrieval": make_retrieval,
}


@pytest.fixture(scope="module", params=NAMES)
def evaluator(request: pytest.FixtureRequest, small_toy: Path) -> evaluators.Evaluator:
    """Each evaluator; one without a maker above fails here, so that none goes untested."""
    return MAKERS[request.param](small_toy)


def options_of(name: str) -> type[EvaluatorOptions]:
    """The class `Options` of the evaluator called `name`."""
    record = plugins.load(evaluators, "evaluator", name).Options
    assert isinstance(record, type)
    assert issubclass(record, EvaluatorOptions)
    return record


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
    scores = [task.score for task in first.tasks.values()]
    parts = evaluator.description.tasks
    shares = [parts[name].share for name in first.tasks] if parts else None
    assert first.mean == pytest.approx(statistics.fmean(scores, shares), abs=1e-4)
    for task in first.tasks.values():
        assert not task.queries or task.score == pytest.approx(
            statistics.fmean(task.queries.values())
        )


def test_its_shares_are_those_of_its_tasks(evaluator: evaluators.Evaluator) -> None:
    parts = evaluator.description.tasks
    if not parts:
        return

    assert set(parts) == set(evaluator.evaluate(SUBSET, 3).tasks)
    assert sum(part.share for part in parts.values()) == pytest.approx(1)
    assert all(part.share > 0 and part.test_set for part in parts.values())


def test_it_reports_its_progress_to_the_end(evaluator: evaluators.Evaluator) -> None:
    stages: list[tuple[str, int, int]] = []

    evaluator.evaluate(SUBSET, 0, lambda *stage: stages.append(stage))

    name, done, total = stages[-1]
    assert (name, done) == ("evaluate", total)
    assert all(0 <= done <= total for _, done, total in stages)


@pytest.mark.parametrize("name", NAMES)
def test_its_options_are_frozen_and_know_no_unknown_keys(name: str) -> None:
    record = options_of(name)

    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        record.model_validate({"no_such_key": 1})
    assert record.model_config["frozen"]
    assert record.model_config["strict"]
    for key, field in record.model_fields.items():
        assert field.description, f"{name}: {key} has no description"


def test_options_without_a_way_to_create_an_evaluator_are_refused() -> None:
    class Incomplete(EvaluatorOptions):
        """Options that build nothing."""

    with pytest.raises(TypeError, match=r"abstract method '?create"):
        Incomplete()  # type: ignore[abstract]


def test_evaluators_are_found_by_name() -> None:
    assert NAMES == ["retrieval", "table"]


def test_an_unknown_evaluator_is_answered_with_the_choices() -> None:
    for name in ("tabel", "errors", "_errors"):
        with pytest.raises(
            errors.InputError, match=rf"unknown evaluator '{name}': choose one of .*table"
        ):
            plugins.load(evaluators, "evaluator", name)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one  \ntwo"), "one  "),
        (MemoryError(), "MemoryError"),
        (KeyError("key"), "'key'"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_partial_evaluator_has_what_it_scores(evaluator: evaluators.Evaluator) -> None:
    if not isinstance(evaluator, evaluators.Partial):
        pytest.skip("it scores every subset")

    assert evaluator.has(SUBSET)
    unknown = (1, 3, 5)
    assert not evaluator.has(unknown)
    with pytest.raises(evaluators.TrialFailure):
        evaluator.evaluate(unknown, 0)


def test_a_measurable_evaluator_counts_less_for_fewer_layers(
    evaluator: evaluators.Evaluator,
) -> None:
    if not isinstance(evaluator, evaluators.Measurable):
        pytest.skip("it has no models")

    cut, whole = evaluator.count_cost(SUBSET), evaluator.count_cost(tuple(range(22)))
    assert cut.embedding_parameters == whole.embedding_parameters
    assert 0 < cut.layer_parameters < whole.layer_parameters
    assert whole.parameters - cut.parameters == whole.layer_parameters - cut.layer_parameters
    assert 0 < cut.bytes < whole.bytes
    assert 0 < cut.query_flops <= cut.document_flops < whole.document_flops


@pytest.mark.slow
def test_a_measurable_evaluator_is_faster_with_fewer_layers(
    evaluator: evaluators.Evaluator,
) -> None:
    if not isinstance(evaluator, evaluators.Measurable):
        pytest.skip("it has no models")

    events: list[tuple[str, int, int]] = []
    speed = evaluator.measure_speed(SUBSET, lambda *event: events.append(event))
    assert speed.device == evaluator.device_name
    assert statistics.median(speed.ratios) > 1
    assert speed.tokens_per_second > speed.reference_tokens_per_second > 0
    assert events[-1] == ("measure", len(speed.ratios), len(speed.ratios))
