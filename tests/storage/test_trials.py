"""Trials as samplers, listings and replications read them."""

from datetime import datetime

from sqlalchemy import Engine

from storage.queue import Result
from storage.states import Origin, TrialState
from storage.trials import (
    PastTrial,
    list_trials,
    read_history,
    read_other_depths,
    seeds_by_subset,
)
from tests.support.stores import begin, finish_trial, new_trial, queue_of, worker_id

FAILED = Result(None, error="the loss is NaN")


# history


def test_history_is_in_the_order_of_the_claims(engine: Engine) -> None:
    study = begin(engine, {2: 9, 3: 9})
    queue = queue_of(engine, study)
    first = queue.claim(new_trial((0, 9)))
    queue.claim(new_trial((0, 1, 2)))  # of another depth
    finish_trial(engine, study, new_trial((0, 3), seed=4), Result(0.5))
    finish_trial(engine, study, new_trial((0, 5)), FAILED)
    queue.give_back(first)

    history = read_history(engine, study.id, 2)
    assert history == [
        PastTrial(first.trial_id, (0, 9), 0, TrialState.WAITING, None),
        PastTrial(history[1].id, (0, 3), 4, TrialState.COMPLETE, 0.5),
        PastTrial(history[2].id, (0, 5), 0, TrialState.FAILED, None),
    ]
    assert read_history(engine, study.id, 9) == []
    assert read_history(engine, study.id + 1, 2) == []


def test_only_newer_trials_and_the_ones_asked_for_are_read_again(engine: Engine) -> None:
    study = begin(engine, {2: 9, 3: 9})
    queue = queue_of(engine, study)
    held = [queue.claim(new_trial((0, layer))) for layer in (9, 3, 5)]
    elsewhere = queue.claim(new_trial((0, 1, 2)))

    first, second, third = (claim.trial_id for claim in held)
    after = read_history(engine, study.id, 2, after=second)
    assert [trial.id for trial in after] == [third]
    again = read_history(engine, study.id, 2, after=second, again=[first, elsewhere.trial_id])
    assert [trial.id for trial in again] == [first, third]
    assert read_history(engine, study.id, 2, after=third) == []


# other depths


def test_other_depths_are_complete_trials_of_the_same_recipe_and_data(engine: Engine) -> None:
    """In any study, and nothing of this depth."""
    budgets = {2: 9, 3: 9}
    study = begin(engine, budgets)
    kin = begin(engine, budgets, "kin", fingerprints={"heldout": "of no score"})
    stranger = begin(engine, budgets, "stranger", recipe_hash="other")
    changed = begin(engine, budgets, "changed", fingerprints={"base": "new"})

    scores = [
        (study, (0, 1), 0.1),
        (study, (0, 1, 2), 0.2),
        (kin, (0, 4, 5), 0.3),
        (kin, (0, 4), 0.4),
        (stranger, (0, 6, 7), 0.5),
        (changed, (0, 8, 9), 0.6),
    ]
    for record, subset, mean in scores:
        finish_trial(engine, record, new_trial(subset, seed=4), Result(mean))
    queue_of(engine, study).claim(new_trial((0, 1, 3)))  # running
    finish_trial(engine, study, new_trial((0, 1, 4)), FAILED)

    found = read_other_depths(engine, study.id, 2)
    complete = TrialState.COMPLETE
    assert [trial[1:] for trial in found] == [
        ((0, 1, 2), 4, complete, 0.2),
        ((0, 4, 5), 4, complete, 0.3),
    ]
    assert [trial.subset for trial in read_other_depths(engine, kin.id, 3)] == [(0, 1), (0, 4)]
    assert read_other_depths(engine, 99, 2) == []


# listings


def test_listing_is_for_the_screen(engine: Engine) -> None:
    study = begin(engine, {2: 9, 3: 9})
    queue = queue_of(engine, study)
    held = queue.claim(new_trial((0, 1), seed=5, origin="gp"))
    queue.finish(held, Result(0.5, seconds={"train": 2.0}, device="cpu", notes=["a", "b"]))
    queue.claim(new_trial((0, 1, 2), origin=Origin.MANUAL))

    first, second = list_trials(engine, "s")
    assert isinstance(first["finished_at"], datetime)
    times = ("created_at", "started_at", "finished_at")
    assert {name: value for name, value in first.items() if name not in times} == {
        "study": "s",
        "id": held.trial_id,
        "depth": 2,
        "subset": "0_1",  # a key, as in the views
        "seed": 5,
        "origin": "gp",  # the sampler's name, as in the views
        "state": TrialState.COMPLETE,
        "owner": str(worker_id("a")),
        "token": 1,
        "crashes": 0,
        "result_token": 1,
        "lease_until": None,
        "optuna_number": None,
        "mean": 0.5,
        "cut_seconds": None,
        "train_seconds": 2.0,
        "evaluate_seconds": None,
        "device": "cpu",
        "versions": {},
        "notes": "a; b",
        "drift": None,
        "error": None,
        "set_aside": False,
    }
    assert (second["origin"], second["state"]) == ("manual", TrialState.RUNNING)

    assert [row["subset"] for row in list_trials(engine, "s", 3)] == ["0_1_2"]
    assert list_trials(engine, "other") == []


# seeds


def test_seeds_are_of_all_trials_failed_ones_included(engine: Engine) -> None:
    study = begin(engine, {2: 9})
    finish_trial(engine, study, new_trial((0, 1)), Result(0.5))
    finish_trial(engine, study, new_trial((0, 1), seed=2), FAILED)
    queue_of(engine, study).claim(new_trial((0, 2), seed=1))
    other = begin(engine, {2: 9}, "other")
    finish_trial(engine, other, new_trial((0, 1), seed=7), Result(0.5))

    found = seeds_by_subset(engine, study.id, [(0, 1), (0, 2), (0, 3)])
    assert found == {(0, 1): {0, 2}, (0, 2): {1}}
    assert seeds_by_subset(engine, study.id, iter([(0, 2)])) == {(0, 2): {1}}
    assert seeds_by_subset(engine, study.id, []) == {}
