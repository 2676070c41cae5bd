"""The leaderboard's errors and ties against NumPy, computed live and stored, on each database."""

from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import Engine, delete, select, update

from storage.database import write
from storage.leaderboard import best_per_depth, rank_subsets, standings
from storage.leaderboard.standings import rebuild_standings
from storage.leaderboard.ties import critical_value
from storage.queue import Result
from storage.schema import Depth, Standing
from storage.studies import DEFAULT_MARGIN, delete_study
from storage.values.subset_key import Subset, format_subset
from tests.support.scores import (
    QUERIES,
    ScoredTrial,
    averaged,
    begin_scored,
    draw_trials,
    leaderboard_rows,
    query_variance,
    record_trials,
)
from tests.support.stores import finish_trial, new_trial, query, queue_of

Numbers = dict[str, float | None]


# the reference


def expected(trials: Sequence[ScoredTrial]) -> dict[Subset, Numbers]:
    """Return the numbers that the view must show for each subset."""
    queries = trials[0].queries
    means = {s: [t.mean for t in trials if t.subset == s] for s in {t.subset for t in trials}}
    leader = max(means, key=lambda subset: float(np.mean(means[subset])))

    # variance between seeds, pooled over the subsets that have several
    squares = sum(float(np.sum((np.array(m) - np.mean(m)) ** 2)) for m in means.values())
    freedom = sum(len(found) - 1 for found in means.values())
    shift = squares / freedom if freedom else None

    parts = 1 / np.array([*QUERIES.values()])
    degrees = np.sum(parts) ** 2 / np.sum(parts**2 / (1 / parts - 1))  # as Satterthwaite has it
    units = int(degrees) if queries else len(QUERIES) - 1
    critical = critical_value(len(means) - 1, units)
    lead = averaged(trials, leader)

    rows: dict[Subset, Numbers] = {}
    for subset, found in means.items():
        own = averaged(trials, subset)
        mean = query_variance(own, queries=queries)
        paired = query_variance({t: own[t] - lead[t] for t in QUERIES}, queries=queries)
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


def check(engine: Engine, trials: Sequence[ScoredTrial]) -> None:
    """Compare the views with NumPy."""
    wanted, found = expected(trials), leaderboard_rows(engine)
    assert set(found) == set(wanted)
    for subset, row in wanted.items():
        got = {name: found[subset][name] for name in row}
        assert got == pytest.approx(row, abs=1e-9), subset

    order = sorted(wanted, key=lambda subset: -(wanted[subset]["mean"] or 0))
    assert [row["subset"] for row in rank_subsets(engine, "s", 3)] == [
        format_subset(s) for s in order
    ]

    (best,) = best_per_depth(engine, "s")
    tied = [subset for subset in order if wanted[subset]["tied"]]
    told = (best["leader"], best["tied"], best["subsets"])
    assert told == (format_subset(order[0]), len(tied), len(order))
    lowest = (wanted[order[0]]["mean"] or 0) - DEFAULT_MARGIN
    pick = min((s for s in tied if (wanted[s]["mean"] or 0) >= lowest), key=simplicity)
    assert best["pick"] == format_subset(pick)
    assert best["pick_mean"] == pytest.approx(wanted[pick]["mean"])


def simplicity(subset: Subset) -> tuple[int, Subset]:
    """Return the breaks between consecutive layers, then the layers."""
    return int(np.sum(np.diff(subset) > 1)), subset


# the views


@pytest.mark.slow
@pytest.mark.parametrize("queries", [True, False], ids=["queries", "tasks"])
@pytest.mark.parametrize("repeated", [True, False], ids=["seeds", "one-seed"])
def test_views_equal_numpy_live_and_stored(
    engine: Engine, *, queries: bool, repeated: bool
) -> None:
    for seed in range(2):
        if seed:
            delete_study(engine, "s")
        trials = draw_trials(seed, queries=queries, repeated=repeated)
        study = begin_scored(engine)
        for done in range(3, len(trials) + 1, 4):  # leaders and seeds change on the way
            record_trials(engine, study, trials[0 if done == 3 else done - 4 : done])
            check(engine, trials[:done])  # partly stored, partly out of date
            queue_of(engine, study).refresh_standings(3)
            check(engine, trials[:done])


def test_means_alone_leave_ties_unknown(engine: Engine) -> None:
    study = begin_scored(engine)
    for subset, mean in (((0, 1, 2), 0.5), ((0, 1, 3), 0.25)):
        finish_trial(engine, study, new_trial(subset), Result(mean))
    found = leaderboard_rows(engine)
    assert (found[0, 1, 2]["tied"], found[0, 1, 3]["tied"]) == (1, None)
    assert found[0, 1, 3]["standard_error"] is None
    (best,) = best_per_depth(engine, "s")
    assert (best["tied"], best["pick"]) == (None, "0_1_2")


# stored variances


def test_refresh_stores_the_variances_that_the_view_takes(engine: Engine) -> None:
    study = begin_scored(engine)
    record_trials(engine, study, draw_trials(1, queries=True, repeated=True))
    queue_of(engine, study).refresh_standings(3)

    with write(engine) as connection:
        rows = connection.execute(select(Standing.__table__)).mappings().all()
        leader = connection.execute(select(Depth.leader)).scalar_one()
        assert {row["compared_to"] for row in rows} == {leader}
        assert all(row["variance"] > 0 for row in rows)
        connection.execute(update(Standing).values(variance=4.0))
    assert {row["query_error"] for row in leaderboard_rows(engine).values()} == {2.0}


def test_refresh_goes_on_until_nothing_is_out_of_date(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "_BATCH", 3)
    study = begin_scored(engine)
    queue = queue_of(engine, study)
    queue.refresh_standings(3)  # nothing is scored yet
    queue.refresh_standings(9)  # a depth that the study does not have

    trials = draw_trials(1, queries=True, repeated=False)
    record_trials(engine, study, trials)
    for _ in range(2):  # the second time there is nothing left to do
        queue.refresh_standings(3)
    current = query(
        engine,
        "SELECT count(*) FROM search_standings AS s JOIN search_depths AS d ON d.depth = s.depth"
        " WHERE s.compared_to = d.leader AND s.variance_seeds = s.seeds",
    )
    assert current == [(len(trials),)]


def test_rebuilding_changes_nothing(engine: Engine) -> None:
    study = begin_scored(engine)
    record_trials(engine, study, draw_trials(2, queries=True, repeated=True))
    before = leaderboard_rows(engine)
    with write(engine) as connection:
        connection.execute(delete(Standing))
        connection.execute(update(Depth).values(scored=0, leader=None))
        rebuild_standings(connection)

    after = leaderboard_rows(engine)
    assert set(after) == set(before)
    for subset, row in before.items():
        for name, value in row.items():  # sums of rows in another order round otherwise
            wanted = pytest.approx(value, rel=1e-14) if isinstance(value, float) else value
            assert after[subset][name] == wanted, (subset, name)
