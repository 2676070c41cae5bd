"""New trials: one holder for each subset and seed, and never more than the budget."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from storage.database import write
from storage.errors import BudgetSpentError, ClaimTakenError, InputError
from storage.queue import Claim, NewTrial, Result, enqueue
from storage.states import Origin
from storage.studies import StudyRecord, delete_study, set_budgets
from tests.support.race import race
from tests.support.stores import (
    Dump,
    Workers,
    new_trial,
    only_trial,
    queue_of,
    trial_rows,
    worker_id,
)

SUBSET = (0, 1, 2, 3)


# one holder


def test_subset_and_seed_are_unique(
    engine: Engine, study: StudyRecord, worker: Workers, dump: Dump
) -> None:
    first = worker().claim(new_trial(SUBSET))
    before = dump(engine)
    with pytest.raises(ClaimTakenError, match="0_1_2_3 with seed 0 is taken"):
        worker("b").claim(new_trial(SUBSET))
    assert dump(engine) == before

    again = worker("b").claim(new_trial(SUBSET, seed=1))
    assert (first.token, again.token) == (1, 1)
    assert first.trial_id != again.trial_id

    with pytest.raises(IntegrityError), write(engine) as connection:
        connection.execute(text("UPDATE search_trials SET seed = 0"))
    assert study.id == first.study_id


def test_finished_and_waiting_trials_are_taken_too(worker: Workers) -> None:
    queue = worker()
    queue.finish(queue.claim(new_trial((0, 1, 2, 3))), Result(0.5))
    queue.give_back(queue.claim(new_trial((0, 1, 2, 4))))

    for subset in ((0, 1, 2, 3), (0, 1, 2, 4)):
        with pytest.raises(ClaimTakenError):
            queue.claim(new_trial(subset))


def test_claim_repeated_by_its_owner_is_the_same_claim(engine: Engine, worker: Workers) -> None:
    queue = worker()
    held = queue.claim(new_trial((0, 1)))
    assert queue.remaining(2) == 0
    assert queue.claim(new_trial((0, 1))) == held  # although the budget is spent
    assert len(trial_rows(engine)) == 1


@pytest.mark.parametrize("origin", ["swap", Origin.FIRST, Origin.MANUAL])
def test_claim_says_why_the_trial_was_begun(
    engine: Engine, worker: Workers, origin: Origin | str
) -> None:
    held = worker().claim(new_trial(SUBSET, 7, origin))
    assert held == Claim(
        trial_id=held.trial_id,
        study_id=1,
        subset=SUBSET,
        seed=7,
        token=1,
        origin=Origin.SAMPLER if origin == "swap" else Origin(origin),
    )
    assert (held.depth, held.key) == (4, "0_1_2_3")

    row = only_trial(engine)
    assert (row["origin"], row["subset"], row["depth"]) == (origin, "0_1_2_3", 4)
    assert (row["state"], row["owner"]) == ("running", str(worker_id("a")))
    assert row["lease_until"] > row["started_at"] >= row["created_at"]


# the budget


def test_budget_is_kept(worker: Workers) -> None:
    queue = worker()
    for number in range(3):
        assert queue.remaining(4) == 3 - number
        queue.claim(new_trial((0, 1, 2, number + 3)))

    with pytest.raises(BudgetSpentError, match="all 3 trials of depth 4 are taken"):
        queue.claim(new_trial((0, 1, 2, 9)))
    assert queue.claim(new_trial((0, 1))).depth == 2  # another depth has its own


def test_manual_trials_are_not_counted(worker: Workers) -> None:
    queue = worker()
    queue.claim(new_trial((0, 1), origin=Origin.MANUAL))
    queue.claim(new_trial((0, 2), origin=Origin.MANUAL))
    assert queue.remaining(2) == 1

    queue.claim(new_trial((0, 3)))
    with pytest.raises(BudgetSpentError):
        queue.claim(new_trial((0, 4)))
    assert queue.claim(new_trial((0, 5), origin=Origin.MANUAL)).subset == (0, 5)
    assert queue.remaining(2) == 0


@pytest.mark.parametrize("origin", list(Origin))
def test_origin_decides_whether_the_budget_counts(worker: Workers, origin: Origin) -> None:
    queue = worker()
    queue.claim(NewTrial((0, 1), 0, origin))
    assert queue.remaining(2) == int(origin in (Origin.REPLICATE, Origin.MANUAL, Origin.REFERENCE))
    assert origin.is_budgeted == (queue.remaining(2) == 0)


def test_budget_that_was_lowered_leaves_nothing(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    queue = worker()
    queue.claim(new_trial((0, 1, 2, 3)))
    queue.claim(new_trial((0, 1, 2, 4)))
    set_budgets(engine, study, {4: 1})
    assert queue.remaining(4) == 0
    assert queue.remaining(9) == 0  # a depth that the study does not have


def test_depth_of_a_deleted_study_takes_no_claim(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    delete_study(engine, study.name)
    with pytest.raises(InputError, match="depth 4 is no longer in the store: its study was del"):
        worker().claim(new_trial(SUBSET))
    with pytest.raises(InputError, match="its study was deleted"):
        enqueue(engine, study.id, [new_trial(SUBSET)])
    assert worker().remaining(4) == 0


# trials for anybody


def test_enqueued_trials_wait_for_any_worker_outside_the_budget(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    queue = worker()
    queue.claim(new_trial((0, 1)))
    wanted = [new_trial((0, layer), 1, Origin.REPLICATE) for layer in (1, 2)]
    assert enqueue(engine, study.id, wanted) == 2
    assert enqueue(engine, study.id, wanted) == 0  # they wait already
    assert enqueue(engine, study.id, [*wanted, new_trial((0, 1), 2, Origin.REPLICATE)]) == 1
    assert enqueue(engine, study.id, []) == 0

    rows = [(row["subset"], row["seed"], row["origin"]) for row in trial_rows(engine)[1:]]
    assert rows == [("0_1", 1, "replicate"), ("0_2", 1, "replicate"), ("0_1", 2, "replicate")]
    assert (queue.unfinished([2]), queue.remaining(2)) == (4, 0)

    taken = worker("b").take_over([2])
    assert taken is not None
    assert (taken.subset, taken.seed, taken.token) == ((0, 1), 1, 1)
    assert taken.origin is Origin.REPLICATE


# races


@pytest.mark.slow
def test_eight_racing_workers_keep_the_budget_and_share_nothing(
    engine: Engine, study: StudyRecord, worker: Workers, store_url: str
) -> None:
    set_budgets(engine, study, {4: 20})
    wanted = [(0, 1, 2, layer) for layer in range(3, 43)]
    held: dict[str, list[Claim]] = {f"w{i}": [] for i in range(8)}

    def claim_all(own: Engine, name: str) -> None:
        queue = queue_of(own, study, name)
        for subset in wanted:  # all want the same ones, in the same order
            try:
                held[name].append(queue.claim(new_trial(subset)))
            except ClaimTakenError:
                continue
            except BudgetSpentError:
                return

    race(store_url, claim_all)

    taken = [claim.subset for mine in held.values() for claim in mine]
    assert sorted(taken) == sorted(wanted[:20])
    assert {row["subset"]: row["owner"] for row in trial_rows(engine)} == {
        claim.key: str(worker_id(name)) for name, mine in held.items() for claim in mine
    }
    assert worker().remaining(4) == 0


def test_racing_workers_take_a_waiting_trial_over_once(
    study: StudyRecord, worker: Workers, store_url: str
) -> None:
    queue = worker()
    for layer in range(3, 6):
        queue.give_back(queue.claim(new_trial((0, 1, 2, layer))))
    got: list[Claim] = []

    def grab(own: Engine, name: str) -> None:
        while held := queue_of(own, study, f"{name}-{len(got)}").take_over([4]):
            got.append(held)

    race(store_url, grab)
    assert sorted(claim.subset for claim in got) == [(0, 1, 2, 3), (0, 1, 2, 4), (0, 1, 2, 5)]
    assert {claim.token for claim in got} == {2}
