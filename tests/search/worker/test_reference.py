"""The reference in the loop of workers: when it comes, who runs it, and what its failure does."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evaluators import TrialFailure
from search.errors import SearchError
from search.space import Subset
from search.study.history import History
from search.worker.loop import run_trials
from search.worker.session import begin_session
from storage.leaderboard import depth_statuses
from storage.queue import NewTrial, Result
from storage.states import Origin
from storage.studies import find_study
from tests.support.stores import begin as begin_stored
from tests.support.stores import finish_trial, new_trial, queue_of, trial_rows
from tests.support.workers import Begin, Sums, Watcher, assert_mirrored, study_file

WHOLE: Subset = (0, 1, 2, 3, 4, 5)
KEY = "0_1_2_3_4_5"


def references(engine: Engine) -> list[tuple[int, str]]:
    """Return seed and state of each trial of the reference."""
    rows = trial_rows(engine)
    return [(row["seed"], row["state"]) for row in rows if row["origin"] == "reference"]


def test_it_comes_after_the_first_trial(engine: Engine, begin: Begin) -> None:
    evaluator = Sums()
    run_trials(begin(evaluator, reference=True), Watcher())

    assert (len(evaluator.seen), evaluator.seen[1]) == (7, WHOLE)
    assert references(engine) == [(0, "complete")]
    assert_mirrored(engine)


def test_no_budget_counts_it(engine: Engine, begin: Begin) -> None:
    run_trials(begin(reference=True), Watcher())

    assert Counter(row["depth"] for row in trial_rows(engine)) == {2: 3, 3: 3, 6: 1}
    last = depth_statuses(engine, "s")[-1]
    assert (last.depth, last.budget, last.complete, last.beyond) == (6, 0, 0, 1)
    study = find_study(engine, "s")
    assert (sorted(study.budgets), study.searched_depths) == ([2, 3, 6], [2, 3])


def test_it_is_tried_once(engine: Engine, begin: Begin) -> None:
    run_trials(begin(reference=True), Watcher())
    again = Sums()
    run_trials(begin(again, reference=True), Watcher())
    assert again.seen == []
    assert references(engine) == [(0, "complete")]


def test_it_has_as_many_seeds_as_a_subset(engine: Engine, begin: Begin) -> None:
    run_trials(begin(reference=True, replicates=2), Watcher())
    assert references(engine) == [(0, "complete"), (1, "complete")]


def test_a_worker_of_one_depth_tries_it_too(engine: Engine, begin: Begin) -> None:
    run_trials(begin(only=[2], reference=True), Watcher())
    assert Counter(row["depth"] for row in trial_rows(engine)) == {2: 3, 6: 1}


def test_a_trial_of_the_whole_base_counts_as_one(engine: Engine, begin: Begin) -> None:
    session = begin(reference=True)
    session.queue.add_reference([NewTrial(WHOLE, 4, Origin.MANUAL)])
    run_trials(session, Watcher())
    assert [row["seed"] for row in trial_rows(engine) if row["depth"] == 6] == [4]


def test_it_comes_when_there_is_nothing_else(begin: Begin) -> None:
    run_trials(begin(reference=False), Watcher())
    last = Sums()
    run_trials(begin(last, reference=True), Watcher())
    assert last.seen == [WHOLE]


def test_an_abandoned_one_is_taken_over(engine: Engine, begin: Begin) -> None:
    session = begin(reference=True)
    session.queue.add_reference(session.reference)
    dead = queue_of(engine, session.study, "dead", lease=-1)
    assert dead.take_over([2, 3]) is None
    claim = dead.take_over([2, 3], reference=True)
    assert claim is not None
    assert (claim.subset, claim.origin) == (WHOLE, Origin.REFERENCE)

    run_trials(session, Watcher())
    (row,) = [row for row in trial_rows(engine) if row["depth"] == 6]
    assert (row["state"], row["token"], row["crashes"]) == ("complete", 2, 1)


def test_a_failure_does_not_stop_the_search(engine: Engine, begin: Begin) -> None:
    def refuse(subset: Subset) -> None:
        if subset == WHOLE:
            message = "too large"
            raise TrialFailure(message)

    run_trials(begin(Sums(refuse), reference=True), Watcher())
    assert Counter(row["state"] for row in trial_rows(engine)) == {"complete": 6, "failed": 1}
    assert references(engine) == [(0, "failed")]


def test_a_crash_gives_it_back(engine: Engine, begin: Begin) -> None:
    def crash(subset: Subset) -> None:
        if subset == WHOLE:
            message = "boom"
            raise OSError(message)

    with pytest.raises(SearchError, match=f"trial {KEY} broke and was given back"):
        run_trials(begin(Sums(crash), reference=True), Watcher())
    assert references(engine) == [(0, "waiting")]

    run_trials(begin(reference=True), Watcher())
    assert references(engine) == [(0, "complete")]


def test_a_study_that_wants_none_leaves_it_waiting(engine: Engine, begin: Begin) -> None:
    session = begin(reference=True)
    session.queue.add_reference(session.reference)
    run_trials(begin(reference=False), Watcher())
    assert references(engine) == [(0, "waiting")]


@pytest.mark.parametrize(("said", "tried"), [(None, 0), (True, 1), (False, 0)])
def test_a_study_of_an_older_release_is_asked_for_it(
    engine: Engine, tmp_path: Path, *, said: bool | None, tried: int
) -> None:
    file = study_file(reference=said)
    plain = file.plain()
    del plain["study"]["reference"]  # as that release stored it
    begin_stored(
        engine, {2: 3, 3: 3}, file=plain, recipe_hash=file.recipe_hash(), layers=6,
        fingerprints={"base": "none"},
    )  # fmt: skip

    session = begin_session(engine, file, tmp_path, Sums())
    run_trials(session, Watcher())
    session.mirror.close()
    assert len(references(engine)) == tried


def test_a_new_study_has_one_unless_told_otherwise(begin: Begin) -> None:
    assert begin(reference=None).study.reference
    assert begin(reference=None).study.reference  # also when joined


def test_samplers_do_not_learn_from_it(engine: Engine) -> None:
    study = begin_stored(engine, {2: 3, 3: 3, 6: 0}, layers=6)
    for trial in (new_trial((0, 1)), NewTrial(WHOLE, 0, Origin.REFERENCE)):
        finish_trial(engine, study, trial, Result(0.5))
    others = History(engine, study.id, 3).read_other_depths()
    assert [one.subset for one in others] == [(0, 1)]
