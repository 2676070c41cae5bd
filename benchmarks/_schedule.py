"""What happens to the workers and to the database, and when: drawn from a seed alone."""

import random
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard a study is treated."""

    trials: int = 500
    workers: int = 8
    kills: int = 200
    stops: int = 20
    """Workers that are stopped (SIGSTOP) for longer than their lease, and then go on."""
    restarts: int = 10
    """Times the database goes away; by turns with a shutdown and with a crash."""
    outage: float = 20.0
    """Longest time it is away, in seconds."""
    seconds: float = 0.5
    """Time that an evaluation takes."""
    lease: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """Something that happens once so many trials are finished."""

    after: int
    """Finished trials it waits for, because the time a study takes is not known before."""
    delay: float
    """Seconds it then waits, so that it does not always follow the end of a trial."""
    kind: Literal["kill", "stop", "restart"]
    pick: float
    """Which worker, as a share of those there are."""
    idle: bool
    """Whether a worker without a trial may be picked: one that starts, waits or ends."""
    seconds: float
    """How long the worker is stopped, or the database is away."""


def schedule(plan: Plan) -> list[Event]:
    """Everything that happens, in order; the same for the same plan."""
    rng = random.Random(plan.seed)
    # each worker has a few trials left when the last thing happens, so that it is not too late
    last = max(plan.trials - 3 * plan.workers, 0)

    def event(kind: Literal["kill", "stop", "restart"], seconds: float = 0.0) -> Event:
        after = rng.randint(min(1, last), last)
        delay = rng.uniform(0.0, 2 * plan.seconds)
        return Event(after, delay, kind, rng.random(), rng.random() < 1 / 4, seconds)

    outages = [
        event("restart", rng.uniform(min(1.0, plan.outage), plan.outage))
        for _ in range(plan.restarts)
    ]
    stops = [event("stop", plan.lease * rng.uniform(1.5, 3.0)) for _ in range(plan.stops)]
    kills = [event("kill") for _ in range(plan.kills)]
    # no trial finishes while the database is away: some kills are moved there
    for number, outage in enumerate(outages[: plan.kills]):
        delay = outage.delay + rng.uniform(0.0, outage.seconds)
        kill = kills[number]
        kills[number] = Event(outage.after, delay, "kill", kill.pick, kill.idle, 0.0)
    return sorted(outages + stops + kills)
