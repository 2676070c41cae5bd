"""The events of a torture, drawn from a seed alone: who is killed or stopped, and when."""

import random
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["kill", "stop", "restart"]

_IDLE_SHARE = 1 / 4  # of the events that may also hit a worker without a trial
_TRIALS_LEFT = 3  # trials for each worker after the last event, so that it is not too late


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard a study is treated.

    Attributes:
        trials: trials of the study.
        workers: workers at a time.
        kills: workers that are killed (SIGKILL), and replaced at once.
        stops: workers that are stopped (SIGSTOP) for longer than their lease, and then go on.
        restarts: times the database goes away, by turns with a shutdown and with a crash.
        outage: longest time it is away, in seconds.
        seconds: time that an evaluation takes.
        lease: lease of a trial, in seconds.
        seed: seed of the scores and of all events.
    """

    trials: int = 500
    workers: int = 8
    kills: int = 200
    stops: int = 20
    restarts: int = 10
    outage: float = 20.0
    seconds: float = 0.5
    lease: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """An event that happens once so many trials are finished.

    Attributes:
        after: finished trials it waits for, since the time a study takes is not known before.
        delay: seconds it then waits, so that it does not always follow the end of a trial.
        kind: its kind.
        pick: which worker it hits, as a share of the workers there are.
        idle: whether it may hit a worker without a trial: one that starts, waits or ends.
        seconds: how long the worker is stopped, or the database is away.
    """

    after: int
    delay: float
    kind: Kind
    pick: float
    idle: bool
    seconds: float


def schedule(plan: Plan) -> list[Event]:
    """Return all events in order; the same for the same plan."""
    rng = random.Random(plan.seed)
    last = max(plan.trials - _TRIALS_LEFT * plan.workers, 0)

    def draw(kind: Kind, seconds: float = 0.0) -> Event:
        """Draw one event."""
        after = rng.randint(min(1, last), last)
        delay = rng.uniform(0.0, 2 * plan.seconds)
        return Event(after, delay, kind, rng.random(), rng.random() < _IDLE_SHARE, seconds)

    outages = [
        draw("restart", rng.uniform(min(1.0, plan.outage), plan.outage))
        for _ in range(plan.restarts)
    ]
    stops = [draw("stop", plan.lease * rng.uniform(1.5, 3.0)) for _ in range(plan.stops)]
    kills = [draw("kill") for _ in range(plan.kills)]

    # no trial finishes while the database is away: some kills are moved there
    for number, outage in enumerate(outages[: plan.kills]):
        delay = outage.delay + rng.uniform(0.0, outage.seconds)
        kills[number] = replace(kills[number], after=outage.after, delay=delay)
    return sorted(outages + stops + kills)
