"""Replication: more seeds for the subsets that may be the best of their depth."""

from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Engine

from search.space import parse_subset
from search.study.seeds import free_seeds
from storage.leaderboard import rank_subsets
from storage.queue import NewTrial, enqueue
from storage.states import Origin
from storage.studies import StudyRecord
from storage.trials import seeds_by_subset


@dataclass(frozen=True, slots=True)
class Replication:
    """The trials added at one depth, and a sentence on them."""

    added: int
    summary: str


def replicate_depth(
    engine: Engine, study: StudyRecord, depth: int, *, top: int, seeds: int
) -> Replication:
    """Add trials until each of the best `top` tied subsets of `depth` has `seeds` seeds.

    A subset that can be told apart from the leader gets none: more seeds of it decide nothing, nor
    do any when the leader stands alone. Where ties are unknown, the best `top` count as tied.
    """
    tied = [row for row in rank_subsets(engine, study.name, depth) if row["tied"] != 0]
    if not tied:
        return Replication(0, "no trial is complete yet")
    if len(tied) == 1:
        return Replication(0, f"{tied[0]['subset']} leads alone: more seeds decide nothing")

    chosen = [parse_subset(row["subset"]) for row in tied[:top]]
    used = seeds_by_subset(engine, study.id, chosen)
    first = int(study.file["study"]["seed"])
    added = enqueue(
        engine,
        study.id,
        [
            NewTrial(subset, seed, Origin.REPLICATE)
            for subset in chosen
            for seed in islice(free_seeds(used[subset], first), max(0, seeds - len(used[subset])))
        ],
    )
    summary = f"tied subsets: {len(tied)}, of which the best {len(chosen)}; trials added: {added}"
    return Replication(added, summary)
