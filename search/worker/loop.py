"""The loop of a worker, and the way of each trial: claim, evaluate, record, mirror."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import evaluators
from search.errors import SearchError, SpaceExhaustedError, describe_error
from search.signals import signals
from search.space import Subset, format_subset
from search.study.plan import DepthPlan
from search.study.proposal import propose_trial
from search.worker.session import Session
from storage.errors import BudgetSpentError, ClaimTakenError
from storage.queue import Claim, NewTrial, Result, TaskResult
from storage.states import Origin, TrialState

POLL_SECONDS = 2.0
"""Seconds between two looks at the trials of other workers: few queries, and a short wait."""

log = logging.getLogger("layer-search")


class Reporter(Protocol):
    """The interface of an observer of a worker."""

    def started(self, claim: Claim) -> None:
        """Note that a trial begins."""
        ...

    def stage(self, name: str, done: int, total: int) -> None:
        """Note that the trial moves on: `name` is cut, train or evaluate."""
        ...

    def finished(self, claim: Claim, result: Result) -> None:
        """Note that a trial has ended and is recorded."""
        ...

    def waiting(self, running: int) -> None:
        """Note that nothing is left to claim while other workers still run `running` trials."""
        ...


def run_trials(session: Session, report: Reporter) -> None:
    """Run trials until every depth of the session has its budget, or its space is exhausted.

    While other workers hold the last trials this one waits, to take over the abandoned ones. The
    reference, the largest model, comes after the first trial, so that no score has to wait for it.

    Raises:
        KeyboardInterrupt: the claimed trial was given back.
    """
    with signals.held():
        try:
            claim = _next_claim(session, report, begins=True)
            while claim is not None:
                run_trial(session, claim, report)
                claim = _next_claim(session, report)
        except BaseException:
            with _best_effort("give back what is held"):
                session.queue.give_back_all()
            raise


def run_trial(session: Session, claim: Claim, report: Reporter) -> Result:
    """Run a claimed trial to its end, and return the recorded result.

    Raises:
        KeyboardInterrupt: it was interrupted, and the trial was given back.
        SearchError: the trial broke in an unforeseen way; it was given back.
    """
    with signals.held():
        try:
            session.mirror.show(claim)
            report.started(claim)
            with session.queue.lease(claim):
                result = _evaluate(session, claim, report)
        except Exception as error:
            broke = describe_error(error)
            _give_back(session, claim, broke)
            message = f"trial {claim.key} broke and was given back: {broke}"
            raise SearchError(message) from error
        except BaseException:
            _give_back(session, claim)
            raise

        if not session.queue.finish(claim, result):
            log.warning("trial %s was finished by another worker first", claim.key)
        if isinstance(session.evaluator, evaluators.Resumable):
            session.evaluator.forget(claim.subset, claim.seed)
        session.queue.refresh_standings(claim.depth)
        session.mirror.catch_up()
        report.finished(claim, result)
        return result


def claim_single(session: Session, subset: Subset, seed: int) -> Claim | None:
    """Claim a hand-picked trial that no budget counts; None when it is complete already.

    Raises:
        SearchError: another worker is running it.
    """
    _settle(session)
    try:
        return session.queue.claim(NewTrial(subset, seed, Origin.MANUAL))
    except ClaimTakenError:
        claim = session.queue.reopen(subset, seed)

    if claim is None and session.queue.state(subset, seed) == TrialState.RUNNING:
        text = f"{format_subset(subset)} with seed {seed}"
        message = f"another worker is running {text}: wait for it to finish"
        raise SearchError(message)
    return claim


def _next_claim(session: Session, report: Reporter, *, begins: bool = False) -> Claim | None:
    """Return the next trial to run; None when there will be none.

    Args:
        session: the session.
        report: told when there is nothing to do but wait.
        begins: whether this is the first trial of this worker.
    """
    depths, reference = list(session.plans), bool(session.reference)
    while True:
        signals.check()
        _settle(session)
        if reference and not begins:
            session.queue.add_reference(session.reference)
        if claim := session.queue.take_over(depths, reference=reference):
            return claim

        for depth, plan in session.plans.items():
            if claim := _begin_trial(session, depth, plan):
                return claim

        if reference and begins:  # there is no trial to come first
            begins = False
            continue
        elsewhere = session.queue.unfinished(depths, reference=reference)
        if elsewhere == 0:
            session.mirror.catch_up()
            session.mirror.close_stale()
            return None
        report.waiting(elsewhere)
        with signals.let_through():
            time.sleep(POLL_SECONDS)


def _settle(session: Session) -> None:
    """Finish the work of dead workers of this machine: deliver results, give claims back."""
    if session.queue.deliver():
        session.mirror.catch_up()
    session.queue.release_dead()


def _begin_trial(session: Session, depth: int, plan: DepthPlan) -> Claim | None:
    """Claim a new trial of `depth`; None when its budget or its space is used up."""
    history = session.histories[depth]
    while left := session.queue.remaining(depth):
        try:
            others = history.read_other_depths() if plan.sampler.transfer else ()
            return session.queue.claim(propose_trial(plan, history.read(), left, others))
        except ClaimTakenError:
            continue  # another worker was faster: propose again, knowing its trial
        except (BudgetSpentError, SpaceExhaustedError):
            return None
    return None


def _evaluate(session: Session, claim: Claim, report: Reporter) -> Result:
    """Return the scores of a trial, or the reason there are none."""
    if claim.crashes >= session.attempts:
        reason = f"its worker ended {claim.crashes} times without a result"
        return Result(None, drift=session.drift, error=reason, set_aside=True)

    try:
        with signals.let_through():
            found = session.evaluator.evaluate(claim.subset, claim.seed, report.stage)
    except evaluators.TrialFailure as failure:
        return Result(None, drift=session.drift, error=str(failure))
    except Exception as error:
        if claim.crashes + 1 < session.attempts:
            raise
        log.debug("trial %s broke again", claim.key, exc_info=True)
        reason = f"broke {claim.crashes + 1} times, last with {describe_error(error)}"
        return Result(None, drift=session.drift, error=reason, set_aside=True)

    result = Result(
        mean=found.mean,
        tasks={name: TaskResult(task.score, task.queries) for name, task in found.tasks.items()},
        seconds=found.seconds,
        device=found.device,
        versions=found.versions,
        notes=found.notes,
        drift=session.drift,
    )
    if problem := result.problem:
        return Result(None, drift=session.drift, error=problem)
    return result


def _give_back(session: Session, claim: Claim, broke: str | None = None) -> None:
    """Give a trial back.

    Args:
        session: the session.
        claim: the claim of the trial.
        broke: the unforeseen error that ended it; None when it was interrupted.
    """
    with _best_effort(f"give {claim.key} back"):
        number = session.queue.give_back(claim, broke)
        if number is not None:
            session.mirror.show_waiting(claim.depth, number)


@contextmanager
def _best_effort(action: str) -> Iterator[None]:
    """Go on when the block fails: the end of the lease makes up for work left undone."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever the database raises while it is away
        log.warning("could not %s now: %s", action, describe_error(error))
