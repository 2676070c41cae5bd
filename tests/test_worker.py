"""The worker's loop on a real store: budgets, interruptions, kills, failures, Optuna's mirror."""

import math
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine, event

import storage.errors
from evaluators import Description, Outcome, Progress, TaskScore, TrialFailure, silent
from search import job as jobs
from search import samplers, studyfile, subsets, worker
from search.errors import SearchError
from search.job import Job
from search.mirror import Mirror
from search.subsets import Subset
from storage import claims, leaderboard, owner, release, results, setup, studies
from storage.claims import Claim
from storage.optuna_storage import open_optuna
from storage.results import Result, TaskResult
from storage.status import status

Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]
LAYERS = 6
FREE = {"cadence": "free", "keep_first": False}


class Sums:
    """An evaluator whose score of a subset is its sum; what happens first can be set.

    Args:
        before: called with the subset at each evaluation; may raise.
    """

    description = Description("toy", LAYERS, 3, {"base": "none"})

    def __init__(self, before: Callable[[Subset], object] = lambda _: None) -> None:
        self.before = before
        self.seen: list[Subset] = []

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Outcome:
        """The sum, as the score of one task with one query."""
        self.seen.append(subset)
        progress("evaluate", 0, 1)
        self.before(subset)
        score = sum(subset) / 100 + seed
        return Outcome(score, {"nano": TaskScore(score, {"q": score})}, {"evaluate": 0.5})


class Watcher:
    """Remembers what a worker reports."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def started(self, held: Claim) -> None:
        """Note the trial."""
        self.events.append(f"started {held.subset}")

    def stage(self, name: str, done: int, total: int) -> None:
        """Note the stage."""
        self.events.append(f"{name} {done}/{total}")

    def finished(self, held: Claim, result: Result) -> None:
        """Note the end."""
        self.events.append(f"finished {held.subset} {result.state}")

    def waiting(self, running: int) -> None:
        """Note that there is nothing to do."""
        self.events.append(f"waiting for {running}")


def study(
    sampler: str | dict[str, Any] = "uniform",
    space: dict[str, Any] = FREE,
    **changed: Any,  # noqa: ANN401
) -> studyfile.StudyFile:
    """A study file over the toy's 6 layers, with some keys of `[study]` changed."""
    return studyfile.parse(
        {
            "study": {"name": "s", "depths": [2, 3], "trials": {"2": 3, "3": 3}} | changed,
            "space": space,
            "sampler": {"name": sampler} if isinstance(sampler, str) else sampler,
            "evaluator": {"name": "table", "path": "toy.csv", "layers": LAYERS, "period": 3},
        }
    )


Begin = Callable[..., Job]


@pytest.fixture
def begin(engine: Engine, tmp_path: Path) -> Iterator[Begin]:
    """Begins or joins the study with an evaluator, as a new worker would."""
    begun: list[Job] = []

    def join(
        evaluator: Sums | None = None,
        only: list[int] | None = None,
        budget: int | None = None,
        **changed: Any,  # noqa: ANN401
    ) -> Job:
        file, used = study(**changed), evaluator or Sums()
        begun.append(jobs.begin(engine, file, tmp_path, used, depths=only, trials=budget))
        return begun[-1]

    yield join
    for job in begun:
        job.mirror.close()


def rows(engine: Engine) -> list[dict[str, Any]]:
    """All trials, oldest first."""
    return [dict(row) for row in leaderboard.trials(engine, "s")]


def states(engine: Engine) -> list[str]:
    """The state of each trial, oldest first."""
    return [row["state"] for row in rows(engine)]


def mirrored(engine: Engine, depth: int) -> list[optuna.trial.FrozenTrial]:
    """Optuna's trials of one depth."""
    storage = open_optuna(engine.url)
    try:
        return optuna.load_study(study_name=f"s/L{depth}", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


def check_mirror(engine: Engine) -> None:
    """Optuna holds what we hold: each trial once, with its value and parameters, none running."""
    ours = rows(engine)
    for depth in {row["depth"] for row in ours}:
        theirs = {trial.number: trial for trial in mirrored(engine, depth)}
        mine = [row for row in ours if row["depth"] == depth]
        assert sorted(theirs) == sorted(row["optuna_number"] for row in mine)
        ends = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
        for row in mine:
            trial = theirs[row["optuna_number"]]
            kept = subsets.parse(row["subset"])
            assert trial.state is ends[row["state"]]
            assert trial.values == (None if row["mean"] is None else [row["mean"]])
            assert trial.params == {f"keep_{i:02d}": int(i in kept) for i in range(LAYERS)}
            assert trial.user_attrs["subset"] == row["subset"]


def test_every_depth_gets_its_budget(engine: Engine, begin: Begin) -> None:
    watcher = Watcher()
    worker.work(begin(), watcher)
    found = rows(engine)
    assert Counter(row["depth"] for row in found) == {2: 3, 3: 3}
    assert len({row["subset"] for row in found}) == 6
    assert {row["state"] for row in found} == {"complete"}
    assert {row["origin"] for row in found} == {"uniform"}
    assert {row["owner"] for row in found} == {owner.this_worker()}
    assert all(row["mean"] == sum(subsets.parse(row["subset"])) / 100 for row in found)
    assert all(row["evaluate_seconds"] == 0.5 for row in found)
    key = found[0]["subset"]
    assert watcher.events[:3] == [f"started {key}", "evaluate 0/1", f"finished {key} complete"]
    assert len(watcher.events) == 3 * 6
    assert results.untold(engine, studies.find(engine, "s").id) == []
    check_mirror(engine)


def test_launching_again_does_nothing_more(engine: Engine, begin: Begin, dump: Dump) -> None:
    worker.work(begin(), Watcher())
    before = dump(engine)
    again, watcher = Sums(), Watcher()
    worker.work(begin(again), watcher)
    assert (again.seen, watcher.events) == ([], [])
    assert dump(engine) == before


def test_only_the_depths_asked_for_are_worked_on(engine: Engine, begin: Begin) -> None:
    worker.work(begin(only=[3]), Watcher())
    assert Counter(row["depth"] for row in rows(engine)) == {3: 3}
    assert studies.find(engine, "s").budgets == {2: 3, 3: 3}
    worker.work(begin(), Watcher())
    assert Counter(row["depth"] for row in rows(engine)) == {2: 3, 3: 3}
    check_mirror(engine)


def test_budget_can_be_raised_and_lowered(engine: Engine, begin: Begin) -> None:
    worker.work(begin(only=[2], budget=2), Watcher())
    assert studies.find(engine, "s").budgets == {2: 2, 3: 3}
    worker.work(begin(only=[2], budget=6), Watcher())
    assert len(rows(engine)) == 6
    worker.work(begin(only=[2], budget=1), Watcher())  # what has been done stays
    assert states(engine) == ["complete"] * 6
    assert studies.find(engine, "s").budgets == {2: 1, 3: 3}


def test_interrupted_trial_waits_and_is_finished_by_the_next_worker(
    engine: Engine, begin: Begin
) -> None:
    def interrupt(_: Subset) -> None:
        if len(evaluator.seen) == 2:
            raise KeyboardInterrupt

    evaluator = Sums(interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker.work(begin(evaluator), Watcher())
    assert states(engine) == ["complete", "waiting"]
    waiting = rows(engine)[1]
    assert (waiting["owner"], waiting["lease_until"], waiting["mean"]) == (None, None, None)
    assert [trial.state for trial in mirrored(engine, 2)] == [
        TrialState.COMPLETE,
        TrialState.WAITING,
    ]
    following = Sums()
    worker.work(begin(following), Watcher())
    assert following.seen[0] == evaluator.seen[1]
    finished = rows(engine)[1]
    assert (finished["state"], finished["token"]) == ("complete", 2)
    assert finished["optuna_number"] == waiting["optuna_number"] == 1
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_a_result_is_written_does_not_lose_it(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    finish = results.finish

    def interrupted(*arguments: Any) -> bool:  # noqa: ANN401
        signal.raise_signal(number)
        return finish(*arguments)

    monkeypatch.setattr(results, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.work(begin(), Watcher())
    assert states(engine) == ["complete"]
    assert results.untold(engine, studies.find(engine, "s").id) == []
    check_mirror(engine)
    monkeypatch.undo()
    worker.work(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


@pytest.mark.parametrize("taking_over", [False, True])
def test_signal_just_after_a_claim_leaves_nothing_running(
    engine: Engine,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    *,
    taking_over: bool,
) -> None:
    step = "take_over" if taking_over else "claim"
    job = begin()
    if taking_over:
        given = claims.claim(
            engine, job.study.id, 2, subset="0_1", seed=0, origin="uniform", owner="w"
        )
        release.give_back(engine, given)
    original = getattr(claims, step)

    def interrupted(*arguments: Any, **options: Any) -> Claim:  # noqa: ANN401
        held: Claim = original(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return held

    monkeypatch.setattr(claims, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.work(job, Watcher())
    assert "running" not in states(engine)
    monkeypatch.undo()
    worker.work(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


def test_signal_at_any_statement_leaves_nothing_running(engine: Engine, begin: Begin) -> None:
    # raised inside a transaction, it can leave a lock behind that giving back then waits for
    strike, seen = 0, 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == strike:
            signal.raise_signal(signal.SIGINT)

    event.listen(engine, "after_cursor_execute", count)
    budgets = {"2": 15, "3": 20}
    for statement in range(2, 150, 13):
        job = begin(trials=budgets)
        event.listen(job.mirror._storage.engine, "after_cursor_execute", count)
        strike, seen = statement, 0
        with pytest.raises(KeyboardInterrupt):
            worker.work(job, Watcher())
        assert seen >= strike
        strike = 0
        assert "running" not in states(engine)
    worker.work(begin(trials=budgets), Watcher())
    assert Counter(states(engine)) == {"complete": 35}
    check_mirror(engine)


class Dying:
    """Something whose destructor is running when Ctrl-C strikes: Python drops what it raises."""

    def __del__(self) -> None:
        """Strike."""
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("evaluating", [True, False])
def test_signal_in_a_destructor_is_not_lost(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch, *, evaluating: bool
) -> None:
    job = begin(Sums(lambda _: Dying()) if evaluating else None)
    if not evaluating:
        remaining = claims.remaining

        def struck(*arguments: Any) -> int:  # noqa: ANN401
            Dying()
            return remaining(*arguments)

        monkeypatch.setattr(claims, "remaining", struck)
    with pytest.raises(KeyboardInterrupt):
        worker.work(job, Watcher())
    assert "running" not in states(engine)
    assert len(states(engine)) <= 1


def test_failure_is_recorded_and_the_study_goes_on(engine: Engine, begin: Begin) -> None:
    def fail(_: Subset) -> None:
        if len(evaluator.seen) == 2:
            reason = "the loss is NaN after step 3"
            raise TrialFailure(reason)

    evaluator, watcher = Sums(fail), Watcher()
    worker.work(begin(evaluator), watcher)
    found = rows(engine)
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    failed = found[1]
    assert (failed["state"], failed["error"]) == ("failed", "the loss is NaN after step 3")
    assert (failed["mean"], failed["lease_until"]) == (None, None)
    assert f"finished {failed['subset']} failed" in watcher.events
    assert failed["subset"] not in [row["subset"] for row in leaderboard.ranking(engine)]
    check_mirror(engine)


def test_score_that_is_no_number_is_a_failure(engine: Engine, begin: Begin) -> None:
    class Broken(Sums):
        """Scores its second trial with NaN."""

        def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Outcome:
            """NaN once."""
            outcome = super().evaluate(subset, seed, progress)
            return Outcome(math.nan, {}) if len(self.seen) == 2 else outcome

    worker.work(begin(Broken()), Watcher())
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    assert "nan" in rows(engine)[1]["error"]
    assert len(leaderboard.ranking(engine)) == 5
    check_mirror(engine)


def test_unforeseen_error_gives_back_and_counts_as_failed_the_third_time(
    engine: Engine, begin: Begin
) -> None:
    broken: list[Subset] = []

    def explode(subset: Subset) -> None:
        if subset in broken or (not broken and len(evaluator.seen) == 2):
            broken.append(subset)
            reason = "cuDNN is unhappy\nwith many details"
            raise RuntimeError(reason)

    evaluator = Sums(explode)
    for attempt in (1, 2):
        with pytest.raises(SearchError) as caught:
            worker.work(begin(evaluator), Watcher())
        key = subsets.key(broken[0])
        reason = "RuntimeError: cuDNN is unhappy"
        assert str(caught.value) == f"trial {key} broke and was given back: {reason}"
        assert states(engine) == ["complete", "waiting"]
        assert rows(engine)[1]["token"] == attempt
        assert mirrored(engine, 2)[1].state is TrialState.WAITING
    worker.work(begin(evaluator), Watcher())
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    assert rows(engine)[1]["error"] == f"set aside: broke 3 times, last with {reason}"
    check_mirror(engine)


def test_trial_that_keeps_ending_its_workers_is_set_aside(engine: Engine, begin: Begin) -> None:
    job = begin()
    claims.claim(
        engine,
        job.study.id,
        2,
        subset="0_1",
        seed=0,
        origin="uniform",
        owner="there:1:1:",
        lease=-1,
    )
    for _ in range(2):
        assert claims.take_over(engine, job.study.id, [2], owner="there:1:1:", lease=-1) is not None
    evaluator = Sums()
    worker.work(begin(evaluator), Watcher())
    assert rows(engine)[0]["error"] == "set aside: its worker ended 3 times without a result"
    assert (0, 1) not in evaluator.seen
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    check_mirror(engine)


def test_interruptions_are_no_reason_to_give_a_trial_up(engine: Engine, begin: Begin) -> None:
    def end(_: Subset) -> None:
        if len(evaluator.seen) < 4:
            raise KeyboardInterrupt
        if len(evaluator.seen) == 4:
            raise MemoryError

    evaluator = Sums(end)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            worker.work(begin(evaluator), Watcher())
    with pytest.raises(SearchError, match="MemoryError"):
        worker.work(begin(evaluator), Watcher())
    assert states(engine) == ["waiting"]
    worker.work(begin(evaluator), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


@pytest.mark.parametrize("sampler", samplers.names())
def test_exhausted_space_ends_before_the_budget(engine: Engine, begin: Begin, sampler: str) -> None:
    worker.work(begin(depths=[5], trials=10, sampler=sampler), Watcher())
    found = rows(engine)
    every = {subsets.key(subset) for subset in combinations(range(LAYERS), 5)}
    assert sorted(row["subset"] for row in found) == sorted(every)
    assert {row["state"] for row in found} == {"complete"}
    (found_now,) = status(engine, "s")
    assert (found_now.depth, found_now.complete, found_now.budget) == (5, 6, 10)


def test_first_subsets_are_tried_first_in_order(engine: Engine, begin: Begin) -> None:
    wanted = ["4_5", "1_2_3", "0_3", "spread", "0_3"]
    job = begin(first=wanted, space={"cadence": "strict"})
    worker.work(job, Watcher())
    tried = [(row["depth"], row["subset"], row["origin"]) for row in rows(engine)]
    assert tried[:3] == [(2, "4_5", "first"), (2, "0_3", "first"), (2, "0_5", "first")]
    assert tried[3:5] == [(3, "1_2_3", "first"), (3, "0_2_5", "first")]
    assert [origin for *_, origin in tried].count("first") == 5
    assert [subsets.key(subset) for subset in job.plans[2].outside] == ["4_5", "0_3"]
    for depth, key, origin in tried:
        assert origin == "first" or subsets.parse(key) in job.plans[depth].space
    check_mirror(engine)


def test_first_subsets_tried_by_others_are_not_repeated(engine: Engine, begin: Begin) -> None:
    job = begin(first=["0_1", "0_2"])
    held = claims.claim(engine, job.study.id, 2, subset="0_1", seed=9, origin="manual", owner="w")
    results.finish(engine, held, Result(0.5))
    worker.work(job, Watcher())
    tried = [row["subset"] for row in rows(engine) if row["depth"] == 2]
    assert tried[:2] == ["0_1", "0_2"]
    assert len(tried) == len(set(tried)) == 4  # the manual one is outside the budget of 3


@pytest.mark.parametrize(
    ("changed", "keys", "hint"),
    [
        ({"seed": 7}, ["study.seed (stored: 0, in the file: 7)"], "give the changed study a new"),
        (
            {"sampler": "swap", "space": {"cadence": "strict"}},
            [
                "sampler.explore (stored: None, in the file: 0.1)",
                "sampler.name (stored: 'uniform', in the file: 'swap')",
                "sampler.startup (stored: None, in the file: 8)",
                "space.cadence (stored: 'free', in the file: 'strict')",
                "space.keep_first (stored: False, in the file: True)",
            ],
            "give the changed study a new name",
        ),
        (
            {"trials": {"2": 3, "3": 6}},
            ["study.trials.3 (stored: 3, in the file: 6)"],
            "`launch --trials`",
        ),
    ],
)
def test_changed_study_file_is_refused(
    engine: Engine, begin: Begin, dump: Dump, changed: dict[str, Any], keys: list[str], hint: str
) -> None:
    begin()
    before = dump(engine)
    with pytest.raises(storage.errors.InputError) as caught:
        begin(**changed)
    message = str(caught.value)
    assert message.startswith(f"study 's' began with another file: {'; '.join(keys)}; ")
    assert hint in message
    assert dump(engine) == before


def test_other_data_under_the_same_name_is_refused(
    engine: Engine, begin: Begin, dump: Dump
) -> None:
    begin()
    before = dump(engine)
    other = Sums()
    other.description = Description("toy", LAYERS, 3, {"base": "another", "test": "new"})
    with pytest.raises(
        storage.errors.InputError,
        match=r"'s' began with .*: other content of base; other content of test\.",
    ):
        begin(other)
    assert dump(engine) == before


def test_abandoned_trial_is_waited_for_and_taken_over(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    job = begin()
    held = claims.claim(
        engine, job.study.id, 3, subset="0_1_2", seed=0, origin="uniform", owner="elsewhere:1:1:"
    )

    class Expires(Watcher):
        """Lets the other's lease run out at the third look."""

        def waiting(self, running: int) -> None:
            """Note it."""
            super().waiting(running)
            if self.events.count("waiting for 1") == 3:
                claims.renew(engine, held, -1)

    watcher = Expires()
    worker.work(job, watcher)
    assert watcher.events[-6:] == [
        *["waiting for 1"] * 3, "started 0_1_2", "evaluate 0/1", "finished 0_1_2 complete",
    ]  # fmt: skip
    assert Counter(states(engine)) == {"complete": 6}
    assert rows(engine)[0]["owner"] == owner.this_worker()
    check_mirror(engine)


def test_result_that_comes_second_is_dropped(
    engine: Engine, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    def overtake(_: Subset) -> None:
        if len(evaluator.seen) == 1:
            (row,) = rows(engine)
            names = ("depth", "subset", "seed", "token", "crashes", "optuna_number")
            held = Claim(row["id"], job.study.id, **{name: row[name] for name in names})
            assert claims.renew(engine, held, -1)
            other = claims.take_over(engine, job.study.id, [2], owner="elsewhere:1:1:")
            assert other is not None
            assert results.finish(engine, other, Result(0.875, {"nano": TaskResult(0.875)}))

    evaluator = Sums(overtake)
    job = begin(evaluator)
    worker.work(job, Watcher())
    first = rows(engine)[0]
    assert (first["mean"], first["owner"]) == (0.875, "elsewhere:1:1:")
    assert caplog.messages == [f"trial {first['subset']} was finished by another worker first"]
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


@pytest.mark.parametrize("result", [Result(0.25), Result(None, error="broke")])
@pytest.mark.parametrize("known", ["unknown", "running", "waiting"])
def test_next_worker_tells_optuna_what_a_dead_one_did_not(
    engine: Engine, begin: Begin, result: Result, known: str
) -> None:
    job = begin()
    held = claims.claim(
        engine, job.study.id, 2, subset="0_5", seed=0, origin="uniform", owner="dead"
    )
    if known != "unknown":
        number = job.mirror.start(2, held.trial_id, (0, 5), None)
        claims.link(engine, held, number)
    if known == "waiting":  # another worker had taken it over and given it back
        job.mirror.wait(2, number)
    assert results.finish(engine, held, result)
    assert [one.subset for one in results.untold(engine, job.study.id)] == ["0_5"]
    worker.work(begin(), Watcher())
    assert results.untold(engine, job.study.id) == []
    told = [trial for trial in mirrored(engine, 2) if trial.user_attrs["subset"] == "0_5"]
    ended = TrialState.FAIL if result.mean is None else TrialState.COMPLETE
    assert [(trial.state, trial.value) for trial in told] == [(ended, result.mean)]
    assert len(mirrored(engine, 2)) == 3


def test_trial_that_optuna_got_but_was_never_linked_is_not_made_twice(
    engine: Engine, begin: Begin
) -> None:
    job = begin()
    held = claims.claim(
        engine, job.study.id, 2, subset="0_5", seed=0, origin="uniform", owner="dead"
    )
    job.mirror.start(2, held.trial_id, (0, 5), None)  # and the worker dies before the link
    release.give_back(engine, held)
    worker.work(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


def test_two_workers_may_tell_optuna_the_same_at_once(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = begin(), begin()
    optunas = job.mirror._storage
    write = optunas.set_trial_state_values

    def late(trial_id: int, state: TrialState, values: Any = None) -> bool:  # noqa: ANN401
        if state.is_finished():
            worker.catch_up(other)  # the other worker tells it between our look and our write
        return bool(write(trial_id, state=state, values=values))

    monkeypatch.setattr(optunas, "set_trial_state_values", late)
    worker.work(job, Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)


def test_another_mirror_of_the_same_study_shows_the_same_trials(
    engine: Engine, begin: Begin
) -> None:
    worker.work(begin(), Watcher())
    mirror = Mirror(engine.url, {2: "s/L2"}, LAYERS)
    assert (mirror.has(2), mirror.has(3)) == (True, False)
    mirror.close()
    check_mirror(engine)


def test_worker_in_a_thread_works_too(engine: Engine, begin: Begin) -> None:
    job = begin()
    thread = threading.Thread(target=worker.work, args=(job, Watcher()))
    thread.start()
    thread.join()
    assert Counter(states(engine)) == {"complete": 6}


def test_connections_cut_by_the_server_are_opened_again(postgres_url: str, tmp_path: Path) -> None:
    engine = setup.open_store(postgres_url, create=True)

    def cut(_: Subset) -> None:
        import psycopg

        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    job = jobs.begin(engine, study(), tmp_path, Sums(cut))
    worker.work(job, Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    check_mirror(engine)
    job.mirror.close()
    engine.dispose()


def write_table(folder: Path) -> None:
    """The toy's scores as a table, for workers in other processes."""
    lines = [
        f"{subsets.key(subset)},{sum(subset) / 100}"
        for depth in (2, 3)
        for subset in combinations(range(LAYERS), depth)
    ]
    (folder / "toy.csv").write_text("\n".join(["subset,mean", *lines, ""]), encoding="utf-8")


TOML = f"""
study = {{ name = "s", depths = [2, 3], trials = {{ 2 = 10, 3 = 16 }} }}
space = {{ cadence = "free", keep_first = false }}
sampler = {{ name = "uniform" }}
evaluator = {{ name = "table", path = "toy.csv", layers = {LAYERS}, period = 3 }}
"""
HANGS = """
import sys, time
from pathlib import Path
from evaluators import Description, Outcome
from search import job, studyfile, worker
from storage import setup, studies

class Hangs:
    description, done = Description("toy", 6, 3, {"base": "none"}), 0
    def evaluate(self, subset, seed, progress):
        self.done += 1
        if self.done == 3:
            print("hangs", flush=True)
            time.sleep(60)
        return Outcome(sum(subset) / 100, {})

class Quiet:
    def __getattr__(self, name):
        return lambda *_: None

engine = setup.open_store(sys.argv[1])
file = studyfile.StudyFile.recorded(studies.find(engine, "s").file)
worker.work(job.begin(engine, file, Path(), Hangs()), Quiet())
"""


@pytest.mark.parametrize("command", ["launch", "work"])
def test_processes_share_a_study_without_duplicates(
    store_url: str, tmp_path: Path, command: str
) -> None:
    write_table(tmp_path)
    path = tmp_path / "s.toml"
    path.write_text(TOML, encoding="utf-8")
    if command == "work":
        engine = setup.open_store(store_url, create=True)
        file = studyfile.read(path)
        jobs.begin(engine, file, tmp_path, file.evaluator_for(tmp_path)).mirror.close()
        engine.dispose()
    script = Path(sys.executable).with_name("layer-search")
    arguments = [path] if command == "launch" else []
    workers = [
        subprocess.Popen(
            [script, command, *arguments, "--store", store_url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in workers]
    assert [code for _, code in ends] == [0, 0], ends
    engine = setup.open_store(store_url)
    found = rows(engine)
    assert Counter(row["depth"] for row in found) == {2: 10, 3: 16}
    assert len({row["subset"] for row in found}) == 26
    assert {(row["state"], row["token"]) for row in found} == {("complete", 1)}
    assert len({row["owner"] for row in found}) <= 2
    check_mirror(engine)
    engine.dispose()


def test_killed_worker_is_replaced_and_every_trial_counts_once(
    engine: Engine, begin: Begin, store_url: str
) -> None:
    begin()
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, store_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        assert states(engine) == ["complete", "complete", "running"]
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    held = rows(engine)[2]
    assert held["owner"].split(":")[1] == str(process.pid)
    assert mirrored(engine, 2)[2].state is TrialState.RUNNING
    evaluator = Sums()
    worker.work(begin(evaluator), Watcher())
    found = rows(engine)
    assert subsets.key(evaluator.seen[0]) == held["subset"]  # taken over at once, not by its lease
    assert Counter(states(engine)) == {"complete": 6}
    assert [row["token"] for row in found] == [1, 1, 2, 1, 1, 1]
    assert found[2]["optuna_number"] == held["optuna_number"]
    assert len({row["subset"] for row in found}) == 6
    check_mirror(engine)


def test_each_subset_is_tried_with_its_replicates(engine: Engine, begin: Begin) -> None:
    budget = {"2": 30, "3": 40}
    job = begin(sampler="exhaustive", replicates=2, trials=budget, seed=7)
    worker.work(job, Watcher())
    found = rows(engine)
    assert Counter(row["depth"] for row in found) == {2: 30, 3: 40}
    assert {(row["seed"], row["origin"]) for row in found} == {(7, "exhaustive"), (8, "repeat")}
    assert len({(row["subset"], row["seed"]) for row in found}) == 70
    check_mirror(engine)


def test_two_workers_share_the_replicates(engine: Engine, begin: Begin) -> None:
    """The second begins while the first runs: together they run each pair once."""
    second = begin(replicates=2, trials=6, depths=[2])

    def join(_: Subset) -> None:
        if len(rows(engine)) == 1:
            worker.work(second, Watcher())

    first = begin(Sums(before=join), replicates=2, trials=6, depths=[2])
    worker.work(first, Watcher())
    found = Counter((row["subset"], row["seed"]) for row in rows(engine))
    assert set(found.values()) == {1}
    assert len(found) == 6
    assert len({subset for subset, _ in found}) == 3


def test_auto_replicates_count_within_the_budget(engine: Engine, begin: Begin) -> None:
    """The scores differ little between subsets, much between seeds: no leader is clear."""

    class Noisy(Sums):
        def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Outcome:
            found = super().evaluate(subset, seed, progress)
            score = 0.5 + 0.1 * math.sin(hash((subset, seed)))
            return Outcome(score, {"nano": TaskScore(score, {"q": score})}, found.seconds)

    job = begin(Noisy(), replicates="auto", trials=20, depths=[3], sampler="gp")
    worker.work(job, Watcher())
    found = rows(engine)
    assert len(found) == 20
    assert all(row["origin"] == "gp" for row in found[:15])
    assert {row["origin"] for row in found[15:]} <= {"repeat", "gp"}
    assert any(row["origin"] == "repeat" for row in found[15:])
    assert len({(row["subset"], row["seed"]) for row in found}) == 20
    check_mirror(engine)


def test_a_sampler_hears_of_other_depths_only_if_it_asks(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[set[int]] = []
    propose = samplers.load("gp").propose

    def listening(self: Any, history: Any, rng: Any) -> Subset:  # noqa: ANN401
        heard.append({len(trial.subset) for trial in history})
        return propose(self, history, rng)

    monkeypatch.setattr(samplers.load("gp"), "propose", listening)
    for transfer, name in ((True, "s"), (False, "t")):
        heard.clear()
        job = begin(name=name, sampler={"name": "gp", "transfer": transfer})
        worker.work(job, Watcher())
        assert (max(map(len, heard)) == 2) is transfer


def test_the_first_optuna_trial_that_was_made_for_a_trial_stands(
    engine: Engine, begin: Begin
) -> None:
    """Also when its number is 0: whoever made another drops it."""
    job = begin()
    held = claims.claim(
        engine, job.study.id, 2, subset="0_1", seed=0, origin="uniform", owner="w"
    )  # fmt: skip
    assert results.adopt(engine, held.trial_id, 0) == 0
    assert results.adopt(engine, held.trial_id, 5) == 0
    (row,) = rows(engine)
    assert row["optuna_number"] == 0
