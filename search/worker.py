"""The way of one trial: claim, evaluate, record, tell Optuna."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import evaluators
from search import proposal, subsets
from search.errors import SearchError, SpaceExhaustedError
from search.interrupts import signals
from search.job import DepthPlan, Job
from search.subsets import Subset
from storage import claims, outbox, owner, release, results, retry, standings
from storage.claims import Claim
from storage.errors import BudgetSpentError, ClaimTakenError
from storage.lease import Lease
from storage.results import Result, TaskResult
from storage.schema import MANUAL, SET_ASIDE

log = logging.getLogger("layer-search")
POLL_SECONDS = 2.0


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
            while (held := _next_claim(job, report)) is not None:
                run(job, held, report)
        except BaseException:
            with _best_effort("give back what is held"):
                release.give_back_all(job.engine, job.study.id, owner.this_worker())
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
    try:
        _show(job, held)
        report.started(held)
        with Lease(job.engine, held, job.lease):
            result = _evaluate(job, held, report)
    except BaseException as error:
        broke = _reason(error) if isinstance(error, Exception) else None
        with _best_effort(f"give {held.subset} back"):
            _give_back(job, held, broke)
        if broke is not None:
            message = f"trial {held.subset} broke and was given back: {broke}"
            raise SearchError(message) from error
        raise
    if not outbox.record(job.engine, job.study.uid, held, result):
        log.warning("trial %s was finished by another worker first", held.subset)
    if isinstance(job.evaluator, evaluators.Resumable):
        job.evaluator.forget(subsets.parse(held.subset), held.seed)
    retry.patiently(standings.refresh)(job.engine, held.study_id, held.depth)
    catch_up(job)
    report.finished(held, result)
    return result


def _show(job: Job, held: Claim) -> None:
    """Show the trial to Optuna as running, and remember its number there."""
    subset, fresh = subsets.parse(held.subset), held.token == 1
    number = retry.patiently(job.mirror.start)(
        held.depth, held.trial_id, subset, held.optuna_number, fresh=fresh
    )
    retry.patiently(claims.link)(job.engine, held, number)


def _give_back(job: Job, held: Claim, broke: str | None) -> None:
    number = release.give_back(job.engine, held, broke)
    if number is not None:
        job.mirror.wait(held.depth, number)


def catch_up(job: Job) -> None:
    """Tell Optuna about every finished trial it does not know the end of."""
    for trial in retry.patiently(results.untold)(job.engine, job.study.id):
        if job.mirror.has(trial.depth):
            _tell(job, trial)


def _tell(job: Job, trial: results.Untold) -> None:
    number = trial.optuna_number
    if number is None:  # its worker died before Optuna heard of it
        subset = subsets.parse(trial.subset)
        made = retry.patiently(job.mirror.start)(trial.depth, trial.trial_id, subset, None)
        number = retry.patiently(results.adopt)(job.engine, trial.trial_id, made)
        if number != made:  # another worker was telling it too
            retry.patiently(job.mirror.drop)(trial.depth, [made])
    retry.patiently(job.mirror.tell)(trial.depth, number, trial.mean)
    retry.patiently(results.mark_told)(job.engine, trial.trial_id)


def _sweep(job: Job) -> None:
    """Close what Optuna shows as live although another of its trials stands for ours, or none."""
    for depth in job.plans:
        live = retry.patiently(job.mirror.live)(depth)
        over = retry.patiently(results.ended)(job.engine, list(live.values()))
        stale = [n for n, trial in live.items() if trial in over and over[trial] != n]
        retry.patiently(job.mirror.drop)(depth, stale)


def _evaluate(job: Job, held: Claim, report: Reporter) -> Result:
    """Scores of the trial, or the reason there are none."""
    if held.crashes >= job.attempts:
        reason = f"{SET_ASIDE}its worker ended {held.crashes} times without a result"
        return Result(None, drift=job.drift, error=reason)
    try:
        with signals.let_through():
            outcome = job.evaluator.evaluate(subsets.parse(held.subset), held.seed, report.stage)
    except evaluators.TrialFailure as failure:
        return Result(None, drift=job.drift, error=str(failure))
    except Exception as error:
        if held.crashes + 1 < job.attempts:
            raise
        log.debug("trial %s broke again", held.subset, exc_info=True)
        reason = f"{SET_ASIDE}broke {held.crashes + 1} times, last with {_reason(error)}"
        return Result(None, drift=job.drift, error=reason)
    if not math.isfinite(outcome.mean):
        return Result(None, drift=job.drift, error=f"the score is {outcome.mean}")
    return Result(
        mean=outcome.mean,
        tasks={name: TaskResult(task.score, task.queries) for name, task in outcome.tasks.items()},
        seconds=outcome.seconds,
        device=outcome.device,
        versions=outcome.versions,
        notes=outcome.notes,
        drift=job.drift,
    )


def _next_claim(job: Job, report: Reporter) -> Claim | None:
    """The next trial to run; None when there will be none."""
    me = owner.this_worker()
    depths = list(job.plans)
    while True:
        signals.check()
        _settle(job)
        take_over = retry.patiently(claims.take_over)
        if held := take_over(job.engine, job.study.id, depths, owner=me, lease=job.lease):
            return held
        for depth, plan in job.plans.items():
            if held := _begin_trial(job, depth, plan, me):
                return held
        others = retry.patiently(claims.unfinished)(job.engine, job.study.id, depths)
        if others == 0:
            catch_up(job)
            _sweep(job)
            return None
        report.waiting(others)
        with signals.let_through():
            time.sleep(POLL_SECONDS)


def _settle(job: Job) -> None:
    """Finish what dead workers of this machine left: results to deliver, claims to give back."""
    if outbox.deliver(job.engine, job.study.uid, job.study.id):
        catch_up(job)
    retry.patiently(release.release_dead)(job.engine, job.study.id)


def _begin_trial(job: Job, depth: int, plan: DepthPlan, me: str) -> Claim | None:
    """Claim a new trial of `depth`; None when its budget or its space is used up."""
    while left := retry.patiently(claims.remaining)(job.engine, job.study.id, depth):
        try:
            history = job.histories[depth]
            others = history.of_other_depths() if plan.sampler.transfer else ()
            chosen = proposal.propose(plan, history.read(), left, others)
            return retry.patiently(claims.claim)(
                job.engine,
                job.study.id,
                depth,
                subset=subsets.key(chosen.subset),
                seed=chosen.seed,
                origin=chosen.origin,
                owner=me,
                lease=job.lease,
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
    key, me, study = subsets.key(subset), owner.this_worker(), job.study.id
    _settle(job)
    lease = job.lease
    try:
        return claims.claim(
            job.engine, study, len(subset), subset=key, seed=seed, origin=MANUAL, owner=me,
            lease=lease,
        )  # fmt: skip
    except ClaimTakenError:
        pass
    depths, same = [len(subset)], (key, seed)
    held = claims.take_over(job.engine, study, depths, owner=me, lease=lease, only=same)
    if held is None and claims.state(job.engine, study, key, seed) == "running":
        message = f"another worker is running {key} with seed {seed}: wait for it to finish"
        raise SearchError(message)
    return held


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
