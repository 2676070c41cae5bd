"""The way of one trial: claim, evaluate, record, tell Optuna."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import evaluators
from search import subsets
from search.errors import SearchError, SpaceExhaustedError
from search.interrupts import signals
from search.job import DepthPlan, Job
from search.samplers import Observation
from search.subsets import Subset
from storage import claims, leaderboard, results, retry
from storage.claims import Claim
from storage.errors import BudgetSpentError, ClaimTakenError
from storage.lease import Lease
from storage.results import Result, TaskResult
from storage.schema import MANUAL

log = logging.getLogger("layer-search")
POLL_SECONDS = 2.0
ATTEMPTS = 3  # a trial that breaks its worker this often is recorded as failed


class Reporter(Protocol):
    """Whoever watches a worker."""

    def started(self, held: Claim) -> None:
        """A trial begins."""
        ...

    def stage(self, name: str, done: int, total: int) -> None:
        """The trial moves on: `name` is cut, train or evaluate."""
        ...

    def finished(self, held: Claim, result: Result) -> None:
        """A trial has ended and is recorded."""
        ...

    def waiting(self, running: int) -> None:
        """Nothing is left to claim while other workers still run `running` trials."""
        ...


def work(job: Job, report: Reporter) -> None:
    """Run trials until every depth of `job` has its budget, or its space is exhausted.

    While other workers hold the last trials this one waits, to take over those that are abandoned.

    Raises:
        KeyboardInterrupt: the claimed trial was given back.
    """
    with signals.held():
        try:
            catch_up(job)
            while (held := _next_claim(job, report)) is not None:
                run(job, held, report)
        except BaseException:
            with _best_effort("give back what is held"):
                claims.give_back_all(job.engine, job.study.id, claims.this_worker())
            raise


def run(job: Job, held: Claim, report: Reporter) -> Result:
    """Run the claimed trial `held` to its end, and return what was recorded.

    Raises:
        KeyboardInterrupt: it was interrupted, and the trial was given back.
        SearchError: the trial broke in an unforeseen way; it was given back.
    """
    with signals.held():
        return _run(job, held, report)


def _run(job: Job, held: Claim, report: Reporter) -> Result:
    """`run`, with signals held back."""
    subset = subsets.parse(held.subset)
    number = held.optuna_number
    try:
        number = retry.patiently(job.mirror.start)(held.depth, held.trial_id, subset, number)
        retry.patiently(claims.link)(job.engine, held, number)
        report.started(held)
        with Lease(job.engine, held):
            result = _evaluate(job, held, report)
    except BaseException as error:
        with _best_effort(f"give {held.subset} back"):
            claims.give_back(job.engine, held, broke=isinstance(error, Exception))
            if number is not None:
                job.mirror.wait(held.depth, number)
        if isinstance(error, Exception):
            message = f"trial {held.subset} broke and was given back: {_reason(error)}"
            raise SearchError(message) from error
        raise
    if not retry.patiently(results.finish)(job.engine, held, result):
        log.warning("trial %s was finished by another worker first", held.subset)
    catch_up(job)
    report.finished(held, result)
    return result


def catch_up(job: Job) -> None:
    """Tell Optuna about every finished trial it does not know the end of."""
    for trial in retry.patiently(results.untold)(job.engine, job.study.id):
        if job.mirror.has(trial.depth):
            _tell(job, trial)


def _tell(job: Job, trial: results.Untold) -> None:
    number = trial.optuna_number
    if number is None:  # its worker died before Optuna heard of it
        subset = subsets.parse(trial.subset)
        number = retry.patiently(job.mirror.start)(trial.depth, trial.trial_id, subset, None)
    retry.patiently(job.mirror.tell)(trial.depth, number, trial.mean)
    retry.patiently(results.mark_told)(job.engine, trial.trial_id)


def _evaluate(job: Job, held: Claim, report: Reporter) -> Result:
    """Scores of the trial, or the reason there are none."""
    if held.breaks >= ATTEMPTS:
        return Result(None, error=f"its worker ended {held.breaks} times without a result")
    try:
        with signals.let_through():
            outcome = job.evaluator.evaluate(subsets.parse(held.subset), held.seed, report.stage)
    except evaluators.TrialFailure as failure:
        return Result(None, error=str(failure))
    except Exception as error:
        if held.breaks + 1 < ATTEMPTS:
            raise
        log.debug("trial %s broke again", held.subset, exc_info=True)
        return Result(None, error=f"broke {held.breaks + 1} times, last with {_reason(error)}")
    if not math.isfinite(outcome.mean):
        return Result(None, error=f"the score is {outcome.mean}")
    return Result(
        mean=outcome.mean,
        tasks={name: TaskResult(task.score, task.queries) for name, task in outcome.tasks.items()},
        seconds=outcome.seconds,
        device=outcome.device,
        versions=outcome.versions,
        notes=outcome.notes,
    )


def _next_claim(job: Job, report: Reporter) -> Claim | None:
    """The next trial to run; None when there will be none."""
    owner = claims.this_worker()
    depths = list(job.plans)
    while True:
        signals.check()
        retry.patiently(claims.release_dead)(job.engine, job.study.id)
        take_over = retry.patiently(claims.take_over)
        if held := take_over(job.engine, job.study.id, depths, owner=owner):
            return held
        for depth, plan in job.plans.items():
            if held := _begin_trial(job, depth, plan, owner):
                return held
        others = retry.patiently(claims.unfinished)(job.engine, job.study.id, depths)
        if others == 0:
            return None
        report.waiting(others)
        with signals.let_through():
            time.sleep(POLL_SECONDS)


def _begin_trial(job: Job, depth: int, plan: DepthPlan, owner: str) -> Claim | None:
    """Claim a new trial of `depth`; None when its budget or its space is used up."""
    while retry.patiently(claims.remaining)(job.engine, job.study.id, depth):
        try:
            subset, origin = _propose(plan, history(job, depth))
            return retry.patiently(claims.claim)(
                job.engine,
                job.study.id,
                depth,
                subset=subsets.key(subset),
                seed=job.seed,
                origin=origin,
                owner=owner,
            )
        except ClaimTakenError:
            continue  # another worker was faster: propose again, knowing its trial
        except (BudgetSpentError, SpaceExhaustedError):
            return None
    return None


def claim_single(job: Job, subset: Subset, seed: int) -> Claim | None:
    """Claim a hand-picked trial that no budget counts; None when it is complete already.

    Raises:
        SearchError: another worker is running it.
    """
    key, owner, study = subsets.key(subset), claims.this_worker(), job.study.id
    claims.release_dead(job.engine, study)
    try:
        return claims.claim(
            job.engine, study, len(subset), subset=key, seed=seed, origin=MANUAL, owner=owner
        )
    except ClaimTakenError:
        pass
    held = claims.take_over(job.engine, study, [len(subset)], owner=owner, only=(key, seed))
    if held is None and claims.state(job.engine, study, key, seed) == "running":
        message = f"another worker is running {key} with seed {seed}: wait for it to finish"
        raise SearchError(message)
    return held


def history(job: Job, depth: int) -> list[Observation]:
    """All trials of `depth` so far, as samplers see them."""
    rows = retry.patiently(leaderboard.history)(job.engine, job.study.id, depth)
    return [Observation(subsets.parse(row.subset), row.state, row.mean) for row in rows]


def _propose(plan: DepthPlan, seen: Sequence[Observation]) -> tuple[Subset, str]:
    """The next subset, and who chose it."""
    tried = {trial.subset for trial in seen}
    for subset in plan.first:
        if subset not in tried:
            return subset, "first"
    return plan.sampler.next_subset(seen), plan.sampler_name


@contextmanager
def _best_effort(what: str) -> Iterator[None]:
    """Go on when the block fails: what led here matters more, and leases mend the rest."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.warning("could not %s now: %s", what, _reason(error))


def _reason(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
