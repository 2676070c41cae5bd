"""Sessions: planned before anything is written, refused where scores would not compare."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import evaluators
from evaluators import Description
from search.errors import InputError, SearchError
from search.worker.loop import claim_single, run_trial, run_trials
from search.worker.session import begin_manual, begin_session, join_session
from storage.queue import Result
from storage.setup import connect_store, is_ready
from storage.states import Origin, TrialState
from storage.studies import TaskShare, delete_study, find_study, study_names
from tests.support.stores import Dump, new_trial, only_trial, queue_of, trial_rows
from tests.support.workers import (
    LAYERS,
    Begin,
    Sums,
    Watcher,
    assert_mirrored,
    on_one_database,
    study_file,
)


def test_another_recipe_or_seed_is_refused(engine: Engine, begin: Begin, dump: Dump) -> None:
    begin()
    before = dump(engine)
    with pytest.raises(InputError, match=r"study\.seed \(stored: 0, in the file: 7\)"):
        begin(seed=7)
    assert dump(engine) == before


def test_what_decides_no_score_is_taken_over(begin: Begin) -> None:
    assert begin().changes == ()
    found = begin(trials={"2": 3, "3": 6}, sampler="swap")
    assert 'study.trials: {"2": 3, "3": 3} -> {"2": 3, "3": 6}, taken over' in found.changes
    assert 'sampler.name: "uniform" -> "swap", taken over' in found.changes
    assert (found.study.budgets, found.study.file["sampler"]["name"]) == ({2: 3, 3: 6}, "swap")
    assert begin(trials={"2": 3, "3": 6}, sampler="swap").changes == ()


def test_an_added_depth_is_worked_on_and_a_removed_one_is_not(engine: Engine, begin: Begin) -> None:
    run_trials(begin(only=[2], budget=1), Watcher())
    session = begin(depths=[3, 4], trials=2)
    run_trials(session, Watcher())
    assert find_study(engine, "s").budgets == {2: 1, 3: 2, 4: 2}
    assert [row["depth"] for row in trial_rows(engine)] == [2, 3, 3, 4, 4]


def test_a_worker_goes_on_with_its_own_plan_when_the_file_changes(
    engine: Engine, begin: Begin
) -> None:
    """A depth that was taken away meanwhile gets no more trials, and is no reason to stop."""
    working = begin()
    begin(depths=[3, 4], trials=2)
    run_trials(working, Watcher())
    assert [row["depth"] for row in trial_rows(engine)] == [3, 3]


def test_a_worker_without_a_file_joins_the_study_as_it_is_by_now(
    engine: Engine, begin: Begin
) -> None:
    known = begin().study
    begin(depths=[3, 4], trials=2, attempts=7)
    session = join_session(engine, known, Sums())
    session.mirror.close()
    assert (list(session.plans), session.attempts) == ([3, 4], 7)
    assert find_study(engine, "s").file["study"]["depths"] == [3, 4]  # and changes nothing
    with pytest.raises(InputError, match="'s' has no depth 2: it has 3, 4"):
        join_session(engine, known, Sums(), depths=[2])
    with pytest.raises(InputError, match="other content of base"):
        join_session(engine, known, other_machine())


def test_a_study_that_was_begun_anew_is_not_joined(engine: Engine, begin: Begin) -> None:
    known = begin().study
    delete_study(engine, "s")
    begin()
    with pytest.raises(InputError, match="'s' was deleted and begun anew meanwhile: start again"):
        join_session(engine, known, Sums())


def other_machine() -> Sums:
    """An evaluator with other data and another base than the study began with."""
    evaluator = Sums()
    evaluator.description = Description(
        "toy", LAYERS, 3, fingerprints={"base": "another", "test": "new"}
    )
    return evaluator


def test_other_data_under_the_same_name_is_refused(
    engine: Engine, begin: Begin, dump: Dump
) -> None:
    begin()
    before = dump(engine)
    reason = r"'s' began with .*: other content of base; other content of test\."
    with pytest.raises(InputError, match=reason):
        begin(other_machine())
    assert dump(engine) == before


def test_accepted_drift_is_recorded_with_each_trial(
    engine: Engine, begin: Begin, tmp_path: Path
) -> None:
    begin()
    session = begin_session(engine, study_file(), tmp_path, other_machine(), accept_drift=True)
    run_trials(session, Watcher())
    session.mirror.close()

    drift = "other content of base; other content of test"
    assert session.drift == drift
    assert [row["drift"] for row in trial_rows(engine)] == [drift] * 6
    assert find_study(engine, "s").fingerprints == {"base": "none"}


def test_depth_that_the_study_has_not_is_refused(engine: Engine, begin: Begin, dump: Dump) -> None:
    before = dump(engine)
    with pytest.raises(InputError, match="'s' has no depth 4: it has 2, 3"):
        begin(only=[2, 4])
    assert dump(engine) == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"depths": [2, 9], "trials": 3}, "at depth 9: depth 9 is impossible"),
        ({"first": ["0_6"]}, "study.first: 0_6, but the base has only 6 layers"),
    ],
)
def test_nothing_is_written_before_every_depth_is_planned(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    engine = connect_store(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(InputError, match=reason):
        begin_session(engine, study_file(**changed), tmp_path, Sums())
    assert list(tmp_path.iterdir()) == []

    begin_session(engine, study_file(), tmp_path, Sums()).mirror.close()
    assert is_ready(engine)
    assert study_names(engine) == ["s"]
    engine.dispose()


@pytest.mark.slow
@on_one_database
def test_bad_lease_is_refused_before_anything_is_written(
    engine: Engine, begin: Begin, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(engine)
    monkeypatch.setenv("LAYER_SEARCH_LEASE", "soon")
    with pytest.raises(ValueError, match="LAYER_SEARCH_LEASE is 'soon'"):
        begin()
    assert dump(engine) == before


def test_a_study_begins_with_the_shares_of_its_tasks(engine: Engine, tmp_path: Path) -> None:
    evaluator = Sums()
    tasks = {"sums": evaluators.TaskShare("one", 0.75), "more": evaluators.TaskShare("two", 0.25)}
    evaluator.description = replace(Sums.description, tasks=tasks)
    begin_session(engine, study_file(), tmp_path, evaluator).mirror.close()
    assert find_study(engine, "s").tasks == {
        "sums": TaskShare("one", 0.75),
        "more": TaskShare("two", 0.25),
    }


# one hand-picked trial


def test_single_trial_of_a_depth_that_the_study_does_not_search(
    engine: Engine, tmp_path: Path
) -> None:
    session = begin_manual(engine, study_file(), tmp_path, Sums(), [2, 4])
    claim = claim_single(session, (0, 1, 2, 3), seed=5)
    assert claim is not None
    run_trial(session, claim, Watcher())
    session.mirror.close()

    row = only_trial(engine)
    assert (row["depth"], row["seed"], row["origin"]) == (4, 5, Origin.MANUAL)
    assert (row["state"], row["mean"]) == ("complete", pytest.approx(5.06))
    assert find_study(engine, "s").budgets == {2: 3, 3: 3, 4: 0}
    assert_mirrored(engine)


def test_single_trial_is_claimed_once(begin: Begin) -> None:
    session = begin()
    queue = session.queue
    claim = claim_single(session, (0, 1), seed=0)
    assert claim is not None
    assert claim.origin == Origin.MANUAL

    queue.finish(claim, Result(None, error="broke"))
    again = claim_single(session, (0, 1), seed=0)  # it failed: asking again tries again
    assert again is not None
    assert (again.trial_id, again.token) == (claim.trial_id, 2)

    queue.finish(again, Result(0.5))
    assert claim_single(session, (0, 1), seed=0) is None
    assert queue.state((0, 1), 0) == TrialState.COMPLETE


def test_single_trial_that_another_worker_runs_is_waited_for_by_people(
    engine: Engine, begin: Begin
) -> None:
    session = begin()
    queue_of(engine, session.study, "elsewhere").claim(new_trial((0, 1)))
    mine = replace(session, queue=queue_of(engine, session.study, "here"))
    with pytest.raises(SearchError, match="another worker is running 0_1 with seed 0: wait"):
        claim_single(mine, (0, 1), seed=0)
