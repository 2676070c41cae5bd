"""Reads the leaderboard, the trials and the history of a study."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, literal_column, or_, select, table, text

from storage import engine as engines
from storage.schema import State, Study, Trial

Row = Mapping[str, Any]


def ranking(
    engine: Engine,
    study: str | None = None,
    depth: int | None = None,
    *,
    top: int | None = None,
) -> list[Row]:
    """Rows of the view `leaderboard`, best first; with `top` those of the first ranks only."""
    return _view(engine, "leaderboard", study, depth, "study, depth, rank, subset", top=top)


def by_task(
    engine: Engine,
    study: str | None = None,
    depth: int | None = None,
    *,
    top: int | None = None,
) -> list[Row]:
    """Rows of the view `leaderboard_by_task`: one per subset and task; `top` as in `ranking`."""
    order = "study, depth, rank, subset, task"
    return _view(engine, "leaderboard_by_task", study, depth, order, top=top)


def _view(
    engine: Engine,
    name: str,
    study: str | None,
    depth: int | None,
    order: str,
    *,
    top: int | None = None,
) -> list[Row]:
    query: Select[Any] = select(literal_column("*")).select_from(table(name))
    query = query.order_by(text(order))
    if study is not None:
        query = query.where(literal_column("study") == study)
    if depth is not None:
        query = query.where(literal_column("depth") == depth)
    if top is not None:
        query = query.where(literal_column("rank") <= top)
    with engines.read(engine) as connection:
        found = connection.execute(query)
        names = tuple(found.keys())  # plain dictionaries from these: `mappings` takes as long again
        return [dict(zip(names, row, strict=True)) for row in found]


def trials(engine: Engine, study: str, depth: int | None = None) -> list[Row]:
    """All trials of `study` in the order they were begun, with times, device and error."""
    columns = [
        column for column in Trial.__table__.columns if column.name not in ("study_id", "told")
    ]
    query = (
        select(Study.name.label("study"), *columns)
        .join(Study, Study.id == Trial.study_id)
        .where(Study.name == study)
        .order_by(Trial.id)
    )
    if depth is not None:
        query = query.where(Trial.depth == depth)
    with engines.read(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


class PastTrial(NamedTuple):
    """A trial as a sampler needs it; `mean` is None unless it is complete."""

    id: int
    subset: str
    seed: int
    state: State
    mean: float | None


def history(
    engine: Engine, study_id: int, depth: int, *, after: int = 0, again: Sequence[int] = ()
) -> list[PastTrial]:
    """Trials of one depth, in the order they were begun.

    Args:
        engine: the store.
        study_id: the study.
        depth: the depth.
        after: only those with a higher number than this,
        again: and those with these numbers.
    """
    here = (Trial.study_id == study_id, Trial.depth == depth)
    query = select(Trial.id, Trial.subset, Trial.seed, Trial.state, Trial.mean).where(*here)
    query = query.where(or_(Trial.id > after, Trial.id.in_(again))).order_by(Trial.id)
    with engines.read(engine) as connection:
        return [PastTrial(*row) for row in connection.execute(query)]


def relatives(engine: Engine, study_id: int, depth: int) -> list[PastTrial]:
    """Complete trials of other depths, in all studies that share base, data and recipe."""
    with engines.read(engine) as connection:
        columns = select(Study.id, Study.recipe_hash, Study.fingerprints)
        studies = {row.id: row for row in connection.execute(columns)}
        if (own := studies.get(study_id)) is None:
            return []
        same = [
            row.id
            for row in studies.values()
            if (row.recipe_hash, row.fingerprints) == (own.recipe_hash, own.fingerprints)
        ]
        query = (
            select(Trial.id, Trial.subset, Trial.seed, Trial.state, Trial.mean)
            .where(Trial.study_id.in_(same), Trial.depth != depth, Trial.state == "complete")
            .order_by(Trial.id)
        )
        return [PastTrial(*row) for row in connection.execute(query)]


def attempts(engine: Engine, study: str, depth: int | None = None) -> list[Row]:
    """Rows of the view `attempts`: who claimed which trial when, and how that ended."""
    return _view(engine, "attempts", study, depth, "study, depth, subset, seed, attempt")


def best(engine: Engine, study: str | None = None) -> list[Row]:
    """Rows of the view `best_per_depth`."""
    return _view(engine, "best_per_depth", study, None, "study, depth")


def seeds(engine: Engine, study_id: int, subsets: Sequence[str]) -> dict[str, set[int]]:
    """Seeds that each of `subsets` was or will be tried with; a failed trial's seed too."""
    query = select(Trial.subset, Trial.seed).where(
        Trial.study_id == study_id, Trial.subset.in_(subsets)
    )
    found: dict[str, set[int]] = {}
    with engines.read(engine) as connection:
        for subset, seed in connection.execute(query):
            found.setdefault(subset, set()).add(seed)
    return found
