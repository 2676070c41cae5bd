"""The link between trials and the Optuna trials that mirror them."""

from sqlalchemy import Engine

from storage.queue import Result, UnmirroredTrial
from tests.support.stores import Workers, new_trial, only_trial

TRIAL = new_trial((0, 1, 2, 3))
SCORED = Result(0.5)
FAILED = Result(None, error="the loss is NaN")


def test_unmirrored_trials_are_the_finished_ones_without_a_mark(worker: Workers) -> None:
    queue = worker()
    first, second, _ = (queue.claim(new_trial((0, 1, 2, layer))) for layer in (3, 4, 5))
    queue.link(second, 4)
    queue.finish(first, SCORED)
    queue.finish(second, FAILED)
    assert queue.unmirrored() == [
        UnmirroredTrial(first.trial_id, (0, 1, 2, 3), None, 0.5),
        UnmirroredTrial(second.trial_id, (0, 1, 2, 4), 4, None),
    ]
    assert [one.depth for one in queue.unmirrored()] == [4, 4]

    queue.mark_mirrored(first.trial_id)
    assert [one.subset for one in queue.unmirrored()] == [(0, 1, 2, 4)]


def test_only_the_holder_links_a_claim(engine: Engine, worker: Workers) -> None:
    queue = worker(lease=-1)
    held = queue.claim(TRIAL)
    assert queue.link(held, 0) is True
    assert only_trial(engine)["optuna_number"] == 0

    taken = worker("b").take_over([4])
    assert taken is not None
    assert taken.optuna_number == 0
    assert queue.link(held, 7) is False
    assert only_trial(engine)["optuna_number"] == 0


def test_first_optuna_trial_of_a_finished_trial_stands(engine: Engine, worker: Workers) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    queue.finish(held, SCORED)
    assert queue.link(held, 7) is False  # no longer held

    assert queue.link_finished(held.trial_id, 0) == 0
    assert queue.link_finished(held.trial_id, 3) == 0  # another worker was faster
    assert only_trial(engine)["optuna_number"] == 0


def test_numbers_are_of_finished_trials_alone(worker: Workers) -> None:
    queue = worker()
    linked, unlinked, running = (queue.claim(new_trial((0, 1, 2, n))) for n in (3, 4, 5))
    queue.link(linked, 6)
    queue.finish(linked, SCORED)
    queue.finish(unlinked, FAILED)

    every = [held.trial_id for held in (linked, unlinked, running)]
    assert queue.finished_numbers([*every, 99]) == {linked.trial_id: 6, unlinked.trial_id: None}
    assert queue.finished_numbers([]) == {}
