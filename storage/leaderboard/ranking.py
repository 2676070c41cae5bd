"""Rows of the leaderboard's views, as plain mappings."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Select, literal_column, select, table, text

from storage.database import patient, read
from storage.leaderboard.views import pick_by
from storage.schema import Standing
from storage.values.subset_key import Subset

Row = Mapping[str, Any]
"""One row of a view, by column."""


def rank_subsets(
    engine: Engine,
    study: str | None = None,
    depth: int | None = None,
    *,
    top: int | None = None,
) -> list[Row]:
    """Return rows of the view `leaderboard`, best first.

    Args:
        engine: the store.
        study: name of one study; all when left out.
        depth: this depth only.
        top: rows of the first ranks only.
    """
    return _read_view(engine, "leaderboard", study, depth, "study, depth, rank, subset", top=top)


def rank_by_task(
    engine: Engine,
    study: str | None = None,
    depth: int | None = None,
    *,
    top: int | None = None,
) -> list[Row]:
    """Return rows of the view `leaderboard_by_task`: one per subset and task.

    Args:
        engine: the store.
        study: name of one study; all when left out.
        depth: this depth only.
        top: rows of the first ranks only.
    """
    order = "study, depth, rank, subset, task"
    return _read_view(engine, "leaderboard_by_task", study, depth, order, top=top)


def rank_by_set(
    engine: Engine,
    study: str | None = None,
    depth: int | None = None,
    *,
    top: int | None = None,
) -> list[Row]:
    """Return rows of the view `leaderboard_by_set`: one per subset and test set.

    Args:
        engine: the store.
        study: this study only.
        depth: this depth only.
        top: rows of the first ranks only.
    """
    order = "study, depth, rank, subset, test_set"
    return _read_view(engine, "leaderboard_by_set", study, depth, order, top=top)


@patient
def best_per_depth(
    engine: Engine, study: str | None = None, *, margin: float | None = None
) -> list[Row]:
    """Return rows of the view `best_per_depth`: leader, ties and pick of each depth.

    Args:
        engine: the store.
        study: name of one study; all when left out.
        margin: how far below the leader's mean a pick may lie; each study's own when left out.
    """
    if margin is None:
        return _read_view(engine, "best_per_depth", study, None, "study, depth")

    condition = "" if study is None else "WHERE study = :study"
    query = text(
        f"SELECT * FROM ({pick_by('CAST(:margin AS DOUBLE PRECISION)')}) AS picked {condition} "
        "ORDER BY study, depth"
    )
    parameters = {"margin": margin} | ({} if study is None else {"study": study})
    with read(engine) as connection:
        return [dict(row) for row in connection.execute(query, parameters).mappings()]


def rank_depths(engine: Engine, study: str | None = None) -> list[Row]:
    """Return rows of the view `depths`: score and cost of each depth, the reference first."""
    return _read_view(engine, "depths", study, None, "study, reference DESC, depth")


def list_attempts(engine: Engine, study: str, depth: int | None = None) -> list[Row]:
    """Return rows of the view `attempts`: who claimed which trial when, and how that ended."""
    return _read_view(engine, "attempts", study, depth, "study, depth, subset, seed, attempt")


@patient
def mean_by_subset(engine: Engine, study_id: int, depth: int) -> dict[Subset, float]:
    """Return the mean over seeds of every subset of one depth that has a score."""
    here = (Standing.study_id == study_id, Standing.depth == depth)
    with read(engine) as connection:
        rows = connection.execute(select(Standing.subset, Standing.mean).where(*here))
        return {row.subset: row.mean for row in rows}


@patient
def _read_view(
    engine: Engine,
    name: str,
    study: str | None,
    depth: int | None,
    order: str,
    *,
    top: int | None = None,
) -> list[Row]:
    """Return the rows of a view, in `order`."""
    query: Select[Any] = select(literal_column("*")).select_from(table(name))
    query = query.order_by(text(order))
    if study is not None:
        query = query.where(literal_column("study") == study)
    if depth is not None:
        query = query.where(literal_column("depth") == depth)
    if top is not None:
        query = query.where(literal_column("rank") <= top)

    with read(engine) as connection:
        found = connection.execute(query)
        names = tuple(found.keys())  # plain dictionaries from these: `mappings` takes as long again
        return [dict(zip(names, row, strict=True)) for row in found]
