"""Adds seeds where they decide something: to the subsets that may be the best of their depth."""

from dataclasses import dataclass

from sqlalchemy import Engine

from storage import claims, leaderboard
from storage.studies import StudyRecord


@dataclass(frozen=True, slots=True)
class Replication:
    """What was added at one depth, and why no more."""

    added: int
    summary: str


def replicate(
    engine: Engine, study: StudyRecord, depth: int, *, top: int, seeds: int
) -> Replication:
    """Add trials until each of the best `top` tied subsets of `depth` has `seeds` seeds.

    A subset that can be told apart from the leader gets none: more seeds of it decide nothing, nor
    do any when the leader stands alone. Where ties are unknown, the best `top` count as tied.
    """
    rows = leaderboard.ranking(engine, study.name, depth)
    tied = [row for row in rows if row["tied"] != 0]
    if not tied:
        return Replication(0, "no trial is complete yet")
    if len(tied) == 1:
        return Replication(0, f"{tied[0]['subset']} leads alone: more seeds decide nothing")
    chosen = [row["subset"] for row in tied[:top]]
    used = leaderboard.seeds(engine, study.id, chosen)
    first = int(study.file["study"]["seed"])
    wanted = [
        (subset, seed)
        for subset in chosen
        for seed in _further(used.get(subset, set()), first, seeds)
    ]
    added = claims.repeat(engine, study.id, depth, wanted)
    summary = f"tied subsets: {len(tied)}, of which the best {len(chosen)}; trials added: {added}"
    return Replication(added, summary)


def _further(used: set[int], first: int, seeds: int) -> list[int]:
    """The seeds after `first` that bring a subset to `seeds` of them."""
    further: list[int] = []
    seed = first
    while len(used) + len(further) < seeds:
        if seed not in used:
            further.append(seed)
        seed += 1
    return further
