"""The leaderboard's errors and ties against NumPy, computed live and stored, on each database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select

from search import compare, replication, studyfile, worker
from search import job as jobs
from storage import claims, comparison, leaderboard, results, standings, studies
from storage import engine as engines
from storage.results import Result, TaskResult
from storage.schema import Depth, Standing, Trial
from storage.studies import StudyRecord
from storage.ties import critical_value

SUBSETS = ["0_1_2", "0_1_18", "0_2_5", "0_3_4", "1_2_3", "0_4_7", "2_3_9", "0_1_9"]
TASKS = {"arg": 3, "fever": 5, "nq": 4}


@dataclass(frozen=True)
class Scored:
    """One trial: scores by task and query, or by task alone."""

    subset: str
    seed: int
    tasks: dict[str, list[float]]
    queries: bool = True

    @property
    def mean(self) -> float:
        """Mean over tasks."""
        return float(np.mean([np.mean(values) for values in self.tasks.values()]))

    @property
    def result(self) -> Result:
        """As a worker records it."""
        tasks = {
            task: TaskResult(
                float(np.mean(values)),
                {f"q{n}": value for n, value in enumerate(values)} if self.queries else {},
            )
            for task, values in self.tasks.items()
        }
        return Result(self.mean, tasks)


def draw(seed: int, *, queries: bool, repeated: bool, spread: float = 0.02) -> list[Scored]:
    """Trials of all subsets; some have several seeds."""
    rng = np.random.default_rng(seed)
    hard = {task: rng.normal(0, 0.3, n) for task, n in TASKS.items()}
    trials = []
    for number, subset in enumerate(SUBSETS):
        own = {
            task: 0.5 + hard[task] + rng.normal(spread * number, 0.1, n)
            for task, n in TASKS.items()
        }
        for again in range(1 + (number % 3 if repeated else 0)):
            noise = rng.normal(0, 0.02)
            trials.append(
                Scored(subset, again, {t: list(v + noise) for t, v in own.items()}, queries)
            )
    rng.shuffle(trials)  # type: ignore[arg-type]
    return trials


def begin(engine: Engine, name: str = "s") -> StudyRecord:
    """An empty study of depth 3."""
    return studies.begin(
        engine, name=name, file={"study": {"name": name, "seed": 0}}, folder="/", recipe_hash="h",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={3: 99},
    )  # fmt: skip


def record(engine: Engine, study: StudyRecord, trials: Sequence[Scored]) -> None:
    """Run the trials as workers do."""
    for trial in trials:
        held = claims.claim(
            engine, study.id, 3, subset=trial.subset, seed=trial.seed, origin="swap", owner="w"
        )
        assert results.finish(engine, held, trial.result)


def averaged(trials: Sequence[Scored], subset: str) -> dict[str, Any]:
    """Scores of one subset by task, averaged over its seeds."""
    own = [trial.tasks for trial in trials if trial.subset == subset]
    return {task: np.mean([tasks[task] for tasks in own], axis=0) for task in TASKS}


def query_variance(values: dict[str, Any], *, queries: bool) -> float:
    """Variance of a mean over tasks, in NumPy."""
    if queries:
        parts = [np.var(found, ddof=1) / len(found) for found in values.values()]
        return float(np.sum(parts)) / len(parts) ** 2
    means = [np.mean(found) for found in values.values()]
    return float(np.var(means, ddof=1)) / len(means)


def expected(trials: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    """What the view must say of each subset."""
    queries = trials[0].queries
    means = {s: [t.mean for t in trials if t.subset == s] for s in {t.subset for t in trials}}
    leader = max(means, key=lambda subset: float(np.mean(means[subset])))
    squares = sum(float(np.sum((np.array(m) - np.mean(m)) ** 2)) for m in means.values())
    freedom = sum(len(found) - 1 for found in means.values())
    shift = squares / freedom if freedom else None
    units = sum(TASKS.values()) - len(TASKS) if queries else len(TASKS) - 1
    critical = critical_value(len(means) - 1, units)
    rows = {}
    lead = averaged(trials, leader)
    for subset, found in means.items():
        own = averaged(trials, subset)
        mean = query_variance(own, queries=queries)
        paired = query_variance({t: own[t] - lead[t] for t in TASKS}, queries=queries)
        seeds = (shift or 0) / len(found)
        both = paired + (shift or 0) * (1 / len(found) + 1 / len(means[leader]))
        error = 0.0 if subset == leader else both**0.5
        difference = float(np.mean(found) - np.mean(means[leader]))
        rows[subset] = {
            "mean": float(np.mean(found)),
            "seeds": len(found),
            "query_error": mean**0.5,
            "seed_error": None if shift is None else seeds**0.5,
            "standard_error": (mean + seeds) ** 0.5,
            "difference": difference,
            "difference_error": error,
            "tied": int(subset == leader or -difference <= critical * error),
        }
    return rows


def shown(engine: Engine) -> dict[str, dict[str, Any]]:
    """The view's rows by subset."""
    return {row["subset"]: dict(row) for row in leaderboard.ranking(engine, "s", 3)}


def check(engine: Engine, trials: Sequence[Scored]) -> None:
    """The views say what NumPy says."""
    wanted, found = expected(trials), shown(engine)
    assert set(found) == set(wanted)
    for subset, row in wanted.items():
        got = {name: found[subset][name] for name in row}
        assert got == pytest.approx(row, abs=1e-9), subset
    order = sorted(wanted, key=lambda subset: -wanted[subset]["mean"])
    assert [row["subset"] for row in leaderboard.ranking(engine, "s", 3)] == order
    (best,) = leaderboard.best(engine, "s")
    tied = [subset for subset in order if wanted[subset]["tied"]]
    assert (best["leader"], best["tied"], best["subsets"]) == (order[0], len(tied), len(order))
    assert best["pick"] == min(tied, key=simplicity)
    assert best["pick_mean"] == pytest.approx(wanted[best["pick"]]["mean"])


def simplicity(subset: str) -> tuple[int, list[int]]:
    """Breaks between consecutive layers, then the layers."""
    layers = [int(layer) for layer in subset.split("_")]
    return int(np.sum(np.diff(layers) > 1)), layers


@pytest.mark.parametrize("queries", [True, False], ids=["queries", "tasks"])
@pytest.mark.parametrize("repeated", [True, False], ids=["seeds", "one-seed"])
def test_views_equal_numpy_live_and_stored(engine: Engine, queries: bool, repeated: bool) -> None:  # noqa: FBT001
    for seed in range(2):
        if seed:
            studies.forget(engine, "s")
        trials = draw(seed, queries=queries, repeated=repeated)
        study = begin(engine)
        for done in range(3, len(trials) + 1, 4):  # leaders and seeds change on the way
            record(engine, study, trials[0 if done == 3 else done - 4 : done])
            check(engine, trials[:done])  # partly stored, partly out of date
            standings.refresh(engine, study.id, 3)
            check(engine, trials[:done])


def test_refresh_stores_what_the_view_takes(engine: Engine) -> None:
    study = begin(engine)
    record(engine, study, draw(1, queries=True, repeated=True))
    standings.refresh(engine, study.id, 3)
    with engines.write(engine) as connection:
        rows = connection.execute(select(Standing.__table__)).mappings().all()
        leader = connection.execute(select(Depth.leader)).scalar_one()
        assert {row["compared_to"] for row in rows} == {leader}
        assert all(row["variance"] > 0 for row in rows)
        connection.execute(Standing.__table__.update().values(variance=4.0))  # type: ignore[attr-defined]
    assert {row["query_error"] for row in shown(engine).values()} == {2.0}


def test_rebuilding_changes_nothing(engine: Engine) -> None:
    study = begin(engine)
    record(engine, study, draw(2, queries=True, repeated=True))
    before = shown(engine)
    with engines.write(engine) as connection:
        connection.execute(Standing.__table__.delete())  # type: ignore[attr-defined]
        connection.execute(Depth.__table__.update().values(scored=0, leader=None))  # type: ignore[attr-defined]
        standings.rebuild(connection)
    assert shown(engine) == before


def test_means_alone_leave_ties_unknown(engine: Engine) -> None:
    study = begin(engine)
    for subset, mean in (("0_1_2", 0.5), ("0_1_3", 0.25)):
        held = claims.claim(engine, study.id, 3, subset=subset, seed=0, origin="swap", owner="w")
        results.finish(engine, held, Result(mean))
    found = shown(engine)
    assert (found["0_1_2"]["tied"], found["0_1_3"]["tied"]) == (1, None)
    assert found["0_1_3"]["standard_error"] is None
    (best,) = leaderboard.best(engine, "s")
    assert (best["tied"], best["pick"]) == (None, "0_1_2")


@pytest.mark.parametrize(
    ("freedom", "published"),  # Dunnett 1955, table 1a: one-sided, 95 %
    [
        (9999, [1.64, 1.92, 2.06, 2.16, 2.23, 2.29, 2.34, 2.38, 2.42]),
        (12, [1.78, 2.11, 2.29, 2.41, 2.50, 2.58, 2.64, 2.69, 2.74]),
        (2, [2.92]),
        (1, [6.31, 9.51]),
        (20, [1.72, 2.03, 2.19, 2.30, 2.39, 2.46, 2.51, 2.56, 2.60]),
    ],
)
def test_critical_values_are_dunnetts(freedom: int, published: list[float]) -> None:
    found = [critical_value(comparisons, freedom) for comparisons in range(1, len(published) + 1)]
    assert found == pytest.approx(published, rel=0.005)
    assert critical_value(0, freedom) == 0


def test_the_tied_hold_the_best(engine: Engine) -> None:
    """40 small studies with known truth; `benchmarks/ties.py` runs the full ones."""
    rng = np.random.default_rng(0)
    held, sizes = 0, []
    keys = [f"0_{a}_{a + 2}" for a in range(1, 11)]
    for number in range(40 if engine.dialect.name == "sqlite" else 4):
        truth = 0.5 + rng.normal(0, 0.03, len(keys))
        hard = rng.normal(0, 0.35 * 0.85**0.5, 120)
        trials = []
        for key, true in zip(keys, truth, strict=True):
            scores = true + hard + rng.normal(0, 0.35 * 0.15**0.5, 120)
            trials.append(Scored(key, 0, {"a": list(scores[:60]), "b": list(scores[60:])}))
        study = begin(engine, f"s{number}")
        record(engine, study, trials)
        rows = leaderboard.ranking(engine, f"s{number}", 3)
        tied = {row["subset"] for row in rows if row["tied"]}
        held += keys[int(np.argmax(truth))] in tied
        sizes.append(len(tied))
    assert held >= 0.9 * len(sizes)
    assert np.median(sizes) <= 8


@pytest.fixture
def card(engine: Engine, card_study: Any) -> Engine:  # noqa: ANN401
    """A store in which the model card was replayed."""
    file = studyfile.read(card_study)
    job = jobs.begin(engine, file, card_study.parent, file.evaluator_for(card_study.parent))

    class Quiet:
        def __getattr__(self, _: str) -> Any:  # noqa: ANN401
            return lambda *_: None

    worker.work(job, Quiet())
    job.mirror.close()
    return engine


@pytest.mark.parametrize(
    ("depth", "difference", "error"),
    [(4, -0.0028, 0.0042), (7, 0.0064, 0.0103), (13, 0.0165, 0.0063)],
)
def test_layer_18_against_21_on_the_card(
    card: Engine, depth: int, difference: float, error: float
) -> None:
    front = {4: "0_1_2", 7: "0_1_2_3_4_5", 13: "0_1_2_3_4_5_6_7_8_9_10_11"}[depth]
    study = studies.find(card, "card")
    both = [comparison.measured(card, study, f"{front}_{last}") for last in (18, 21)]
    found = compare.compare(*both)
    assert found.paired_over == "tasks"
    assert round(found.difference, 4) == pytest.approx(difference, abs=1.01e-4)
    assert round(found.error or 0, 4) == error
    supported = found.low is not None and found.high is not None and found.low * found.high > 0
    assert supported == (depth == 13)
    back = compare.compare(*reversed(both))
    assert back.difference == -found.difference
    assert back.error == found.error


def test_compare_equals_the_leaderboard_and_a_bootstrap_of_our_own(engine: Engine) -> None:
    study = begin(engine)
    trials = draw(3, queries=True, repeated=True)
    record(engine, study, trials)
    rows = shown(engine)
    leader = max(rows, key=lambda subset: rows[subset]["mean"])
    other = next(subset for subset in rows if subset != leader)
    found = compare.compare(*(comparison.measured(engine, study, s) for s in (other, leader)))
    assert found.difference == pytest.approx(rows[other]["difference"])
    assert found.error == pytest.approx(rows[other]["difference_error"])
    rng = np.random.default_rng(7)
    own, lead = averaged(trials, other), averaged(trials, leader)
    drawn = [
        np.mean([np.mean(rng.choice(own[t] - lead[t], n)) for t, n in TASKS.items()])
        for _ in range(4000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_seeds_are_added_to_the_best_of_the_tied_only(engine: Engine) -> None:
    study = begin(engine)
    record(engine, study, draw(4, queries=True, repeated=False, spread=0))
    tied = [row["subset"] for row in leaderboard.ranking(engine, "s", 3) if row["tied"]]
    assert len(tied) > 2
    found = replication.replicate(engine, study, 3, top=2, seeds=3)
    assert found.added == 4
    assert replication.replicate(engine, study, 3, top=2, seeds=3).added == 0  # they wait already
    with engines.read(engine) as connection:
        added = select(Trial.subset, Trial.seed, Trial.origin, Trial.state).where(Trial.seed > 0)
        rows = sorted(tuple(row) for row in connection.execute(added))
    assert rows == sorted((s, n, "replicate", "waiting") for s in tied[:2] for n in (1, 2))
    assert claims.remaining(engine, study.id, 3) == 99 - len(SUBSETS)  # outside the budget
