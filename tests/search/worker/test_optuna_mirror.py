"""Optuna's mirror: it shows each of our trials once, whoever died or was faster in between."""

from collections import Counter
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from search.worker.loop import run_trials
from search.worker.optuna_mirror import OptunaMirror, delete_mirrored
from storage.database.optuna_storage import open_optuna
from storage.queue import Result
from tests.support.stores import new_trial, only_trial, queue_of, trial_rows
from tests.support.workers import (
    Begin,
    Watcher,
    assert_mirrored,
    mirrored_trials,
    states,
)

SHORT: Any = {"depths": [2], "trials": 3}
"""Keys of a study of three trials."""


@pytest.mark.parametrize("result", [Result(0.25), Result(None, error="broke")])
@pytest.mark.parametrize("known", ["unknown", "running", "waiting"])
def test_next_worker_tells_optuna_the_end_that_a_dead_one_did_not(
    engine: Engine, begin: Begin, result: Result, known: str
) -> None:
    session = begin(**SHORT)
    dead = queue_of(engine, session.study, "dead")
    held = dead.claim(new_trial((0, 5)))
    if known != "unknown":
        session.mirror.show(held)
    if known == "waiting":  # another worker had taken it over and given it back
        session.mirror.show_waiting(2, only_trial(engine)["optuna_number"])

    assert dead.finish(held, result)
    assert [trial.subset for trial in dead.unmirrored()] == [(0, 5)]
    run_trials(begin(**SHORT), Watcher())
    assert dead.unmirrored() == []

    shown = mirrored_trials(engine, 2)
    same = [trial for trial in shown if trial.user_attrs["subset"] == "0_5"]
    ended = TrialState.FAIL if result.mean is None else TrialState.COMPLETE
    assert [(trial.state, trial.value) for trial in same] == [(ended, result.mean)]
    assert len(shown) == 3


def test_trial_that_optuna_got_but_was_never_linked_is_not_made_twice(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """The end of the worker."""

    def die(*_: object) -> None:
        raise Died

    session = begin(**SHORT)
    monkeypatch.setattr(session.queue, "link", die)
    with pytest.raises(Died):
        run_trials(session, Watcher())
    assert [trial.state for trial in mirrored_trials(engine, 2)] == [TrialState.RUNNING]
    assert only_trial(engine)["optuna_number"] is None

    run_trials(begin(**SHORT), Watcher())
    assert Counter(states(engine)) == {"complete": 3}
    assert_mirrored(engine)


def test_two_workers_may_tell_optuna_the_same_at_once(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = begin(**SHORT), begin(**SHORT)
    optunas = session.mirror._storage
    write = optunas.set_trial_state_values

    def write_late(trial_id: int, state: TrialState, values: Any = None) -> bool:
        if state.is_finished():
            other.mirror.catch_up()  # the other worker tells it between our look and our write
        return write(trial_id, state=state, values=values)

    monkeypatch.setattr(optunas, "set_trial_state_values", write_late)
    run_trials(session, Watcher())
    assert Counter(states(engine)) == {"complete": 3}
    assert_mirrored(engine)


def test_first_optuna_trial_that_was_made_for_a_trial_stands(engine: Engine, begin: Begin) -> None:
    """Also when its number is 0: a worker that made another one drops it."""
    session = begin()
    held = session.queue.claim(new_trial((0, 1)))
    assert session.queue.link_finished(held.trial_id, 0) == 0
    assert session.queue.link_finished(held.trial_id, 5) == 0
    assert only_trial(engine)["optuna_number"] == 0


def test_second_optuna_trial_of_a_trial_ends_as_failed(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers find a finished trial that Optuna never heard of, and both make one for it."""
    session, other = begin(), begin()
    dead = queue_of(engine, session.study, "dead")
    dead.finish(dead.claim(new_trial((0, 5))), Result(0.25))

    find = session.mirror._find

    def find_early(study: optuna.Study, trial_id: int) -> int | None:
        found = find(study, trial_id)
        other.mirror.catch_up()
        return found

    monkeypatch.setattr(session.mirror, "_find", find_early)
    session.mirror.catch_up()

    shown = {trial.number: (trial.state, trial.value) for trial in mirrored_trials(engine, 2)}
    linked = only_trial(engine)["optuna_number"]
    assert shown.pop(linked) == (TrialState.COMPLETE, 0.25)
    assert list(shown.values()) == [(TrialState.FAIL, None)]
    assert session.queue.unmirrored() == []


def test_live_trials_that_stand_for_none_of_ours_are_closed(engine: Engine, begin: Begin) -> None:
    session = begin(only=[2])
    run_trials(session, Watcher())
    ours = mirrored_trials(engine, 2)

    # as workers that died leave them: one for a trial that has another, one for none
    storage = session.mirror._storage
    study = optuna.load_study(study_name="s/L2", storage=storage)
    twin, strange = study.ask(), study.ask()
    twin.set_user_attr("trial", trial_rows(engine)[0]["id"])
    session.mirror.close_stale()

    shown = {trial.number: trial.state for trial in mirrored_trials(engine, 2)}
    assert shown.pop(twin.number) is TrialState.FAIL
    assert shown.pop(strange.number) is TrialState.RUNNING  # a person's own, perhaps
    assert shown == {trial.number: TrialState.COMPLETE for trial in ours}


def test_another_mirror_of_the_same_study_shows_the_same_trials(
    engine: Engine, begin: Begin
) -> None:
    session = begin(**SHORT)
    run_trials(session, Watcher())
    mirror = OptunaMirror(engine.url, session.study, [2], session.queue)
    try:
        assert list(mirror._studies) == [2]
        mirror.catch_up()
        mirror.close_stale()
    finally:
        mirror.close()
    assert_mirrored(engine)


def test_trials_of_depths_that_are_not_open_are_left_to_others(
    engine: Engine, begin: Begin
) -> None:
    session = begin(only=[2])
    dead = queue_of(engine, session.study, "dead")
    dead.finish(dead.claim(new_trial((0, 1, 2))), Result(0.25))

    session.mirror.catch_up()
    assert [trial.subset for trial in dead.unmirrored()] == [(0, 1, 2)]
    run_trials(begin(), Watcher())
    assert dead.unmirrored() == []
    assert_mirrored(engine)


def test_deleted_mirror_is_gone_and_can_be_deleted_again(engine: Engine, begin: Begin) -> None:
    run_trials(begin(), Watcher())
    for _ in range(2):
        delete_mirrored(engine.url, ["s/L2", "nobody/L9"])

    storage = open_optuna(engine.url)
    assert optuna.get_all_study_names(storage) == ["s/L3"]
    storage.remove_session()
    storage.engine.dispose()


def test_failed_trial_that_is_run_again_gets_a_trial_of_its_own(
    engine: Engine, begin: Begin
) -> None:
    """Optuna cannot open a finished trial again."""
    session = begin(only=[2], budget=1)
    queue = session.queue
    held = queue.claim(new_trial((0, 1)))
    session.mirror.show(held)
    queue.finish(held, Result(None, error="broke"))
    session.mirror.catch_up()

    again = queue.reopen((0, 1), 0)
    assert again is not None
    session.mirror.show(again)
    queue.finish(again, Result(0.5))
    session.mirror.catch_up()

    shown = [(trial.state, trial.value) for trial in mirrored_trials(engine, 2)]
    assert shown == [(TrialState.FAIL, None), (TrialState.COMPLETE, 0.5)]
    assert only_trial(engine)["optuna_number"] == 1


def test_parameters_say_which_layers_are_kept(engine: Engine, begin: Begin) -> None:
    kept = (1, 4)
    session = begin()
    session.mirror.show(session.queue.claim(new_trial(kept)))

    (trial,) = mirrored_trials(engine, 2)
    assert trial.params == {f"keep_{layer:02d}": int(layer in kept) for layer in range(6)}
    assert trial.user_attrs["subset"] == "1_4"
    assert (trial.state, trial.number) == (TrialState.RUNNING, only_trial(engine)["optuna_number"])
