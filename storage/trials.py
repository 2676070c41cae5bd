"""Trials as the sampler, the listing and the replication read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, String, func, or_, select, type_coerce

from storage.database import patient, read
from storage.schema import Study, Trial
from storage.states import UNSCORED_ROLES, Origin, TrialState
from storage.values.subset_key import Subset


class PastTrial(NamedTuple):
    """A trial as a sampler needs it; `mean` is None unless it is complete."""

    id: int
    subset: Subset
    seed: int
    state: TrialState
    mean: float | None


_PAST_TRIAL = (Trial.id, Trial.subset, Trial.seed, Trial.state, Trial.mean)


@patient
def read_history(
    engine: Engine, study_id: int, depth: int, *, after: int = 0, again: Sequence[int] = ()
) -> list[PastTrial]:
    """Return trials of one depth, in the order they were begun.

    Args:
        engine: the store.
        study_id: the study.
        depth: the depth.
        after: return trials with a higher number than this.
        again: numbers of earlier trials to return as well.
    """
    here = (Trial.study_id == study_id, Trial.depth == depth)
    query = select(*_PAST_TRIAL).where(*here)
    query = query.where(or_(Trial.id > after, Trial.id.in_(again))).order_by(Trial.id)

    with read(engine) as connection:
        return [PastTrial(*row) for row in connection.execute(query)]


@patient
def read_other_depths(engine: Engine, study_id: int, depth: int) -> list[PastTrial]:
    """Return the complete trials of all other depths, in all studies of the same recipe and data.

    References are left out: the whole base is no choice of layers to learn from.

    Args:
        engine: the store.
        study_id: the study whose base, data and recipe they share.
        depth: the depth that is left out.
    """
    with read(engine) as connection:
        columns = select(Study.id, Study.recipe_hash, Study.fingerprints)
        studies = {row.id: row for row in connection.execute(columns)}
        if (own := studies.get(study_id)) is None:
            return []

        same = [row.id for row in studies.values() if _scored_by(row) == _scored_by(own)]
        scored = (
            Trial.study_id.in_(same),
            Trial.depth != depth,
            Trial.origin != Origin.REFERENCE,
            Trial.state == TrialState.COMPLETE,
        )
        query = select(*_PAST_TRIAL).where(*scored).order_by(Trial.id)
        return [PastTrial(*row) for row in connection.execute(query)]


def _scored_by(study: Row[int, str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Return recipe and data of a study, without the data that decide no score."""
    parts = study.fingerprints.items()
    return study.recipe_hash, {role: sha for role, sha in parts if role not in UNSCORED_ROLES}


@patient
def list_trials(engine: Engine, study: str, depth: int | None = None) -> list[Mapping[str, Any]]:
    """Return all trials of `study` in the order they were begun, one mapping of columns each.

    Args:
        engine: the store.
        study: name of the study.
        depth: this depth only.
    """
    hidden = ("study_id", "mirrored", "sampler")
    shown = {
        "subset": type_coerce(Trial.subset, String).label("subset"),
        "origin": func.coalesce(Trial.sampler, Trial.origin).label("origin"),
    }
    columns = [
        shown.get(column.name, column)
        for column in Trial.__table__.columns
        if column.name not in hidden
    ]

    query = (
        select(Study.name.label("study"), *columns)
        .join(Study, Study.id == Trial.study_id)
        .where(Study.name == study)
        .order_by(Trial.id)
    )
    if depth is not None:
        query = query.where(Trial.depth == depth)

    with read(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


@patient
def seeds_by_subset(
    engine: Engine, study_id: int, subsets: Iterable[Subset]
) -> dict[Subset, set[int]]:
    """Return the seeds that each of `subsets` was or will be tried with, failed trials included."""
    query = select(Trial.subset, Trial.seed).where(
        Trial.study_id == study_id, Trial.subset.in_(list(subsets))
    )

    found: dict[Subset, set[int]] = {}
    with read(engine) as connection:
        for subset, seed in connection.execute(query):
            found.setdefault(subset, set()).add(seed)
    return found
