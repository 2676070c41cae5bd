"""Studies in the store: begin, join, look up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage import engine as engines
from storage.errors import InputError
from storage.schema import MANUAL, Depth, Study, Table, Trial


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study as the store keeps it; `file` is the whole study file as plain values."""

    id: int
    name: str
    file: Mapping[str, Any]
    folder: str
    recipe_hash: str
    base: str
    layers: int
    period: int | None
    fingerprints: Mapping[str, str]
    budgets: Mapping[int, int]
    """Trial budget by depth."""


@dataclass(frozen=True, slots=True)
class DepthStatus:
    """Where one depth of a study stands; counts are of the trials that the budget counts.

    `manual` counts those that were chosen by hand, in any state; `best` is over all of them.
    """

    study: str
    base: str
    depth: int
    budget: int
    complete: int
    running: int
    waiting: int
    failed: int
    manual: int
    best: float | None
    began: datetime


def optuna_name(study: str, depth: int) -> str:
    """Name of the Optuna study that mirrors one depth: `NAME/L4`."""
    return f"{study}/L{depth}"


def begin(  # noqa: PLR0913 - one argument per column
    engine: Engine,
    *,
    name: str,
    file: Mapping[str, Any],
    folder: str,
    recipe_hash: str,
    base: str,
    layers: int,
    period: int | None,
    fingerprints: Mapping[str, str],
    budgets: Mapping[int, int],
) -> StudyRecord:
    """Create the study `name`, or join it when it exists with the same file.

    Raises:
        InputError: the study exists with another file, base or data; the message lists
            what differs.
    """
    with engines.write(engine) as connection:
        insert_new(
            connection,
            Study,
            {
                "name": name,
                "file": dict(file),
                "folder": folder,
                "recipe_hash": recipe_hash,
                "base": base,
                "layers": layers,
                "period": period,
                "fingerprints": dict(fingerprints),
            },
        )
        record = _find(connection, name)
        require_same(record, file)
        require_same_data(record, fingerprints)
        rows = [_depth_row(record.id, name, depth, budget) for depth, budget in budgets.items()]
        insert_new(connection, Depth, rows)
        return _find(connection, name)


def require_same(record: StudyRecord, file: Mapping[str, Any]) -> None:
    """Refuse `file` unless it is the one that `record` began with.

    Raises:
        InputError: it is not; the message lists the keys that differ.
    """
    stored, given = _flat(record.file), _flat(file)
    differing = [
        f"{key} (stored: {stored.get(key)!r}, in the file: {given.get(key)!r})"
        for key in sorted({*stored, *given})
        if stored.get(key) != given.get(key)
    ]
    if differing:
        hint = "give the changed study a new name"
        if all(key.startswith("study.trials") for key in differing):
            hint = (
                "restore the file and set the budget with `launch --trials`, or give it a new name"
            )
        message = f"study {record.name!r} began with another file: {'; '.join(differing)}; {hint}"
        raise InputError(message)


def require_same_data(record: StudyRecord, fingerprints: Mapping[str, str]) -> None:
    """Refuse a base or data other than those `record` began with.

    Raises:
        InputError: they differ; the message names them.
    """
    parts = sorted({*record.fingerprints, *fingerprints})
    stored = record.fingerprints
    differing = [part for part in parts if stored.get(part) != fingerprints.get(part)]
    if differing:
        message = (
            f"study {record.name!r} began with other content of: {', '.join(differing)}. Scores "
            "would not compare: restore what it began with, or give the study a new name"
        )
        raise InputError(message)


def set_budgets(engine: Engine, record: StudyRecord, budgets: Mapping[int, int]) -> None:
    """Set the trial budget of each depth in `budgets`, adding depths the study does not have."""
    with engines.write(engine) as connection:
        for depth, budget in budgets.items():
            insert_new(connection, Depth, _depth_row(record.id, record.name, depth, budget))
            here = (Depth.study_id == record.id, Depth.depth == depth)
            connection.execute(update(Depth).where(*here).values(budget=budget))


def add_depth(engine: Engine, record: StudyRecord, depth: int) -> None:
    """Make room for trials of `depth` that no budget counts; changes nothing where it exists."""
    with engines.write(engine) as connection:
        insert_new(connection, Depth, _depth_row(record.id, record.name, depth, 0))


def find(engine: Engine, name: str) -> StudyRecord:
    """The study `name`.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    with engines.read(engine) as connection:
        return _find(connection, name)


def _find(connection: Connection, name: str) -> StudyRecord:
    row = connection.execute(select(Study.__table__).where(Study.name == name)).mappings().first()
    if row is None:
        known = connection.execute(select(Study.name).order_by(Study.name)).scalars().all()
        there = f"it holds {', '.join(known)}" if known else "it holds none yet"
        message = f"the store has no study {name!r}: {there}"
        raise InputError(message)
    depths = select(Depth.depth, Depth.budget).where(Depth.study_id == row["id"])
    rows = connection.execute(depths.order_by(Depth.depth))
    budgets = {row.depth: row.budget for row in rows}
    fields = {key: value for key, value in row.items() if key != "created_at"}
    return StudyRecord(**fields, budgets=budgets)


def names(engine: Engine) -> list[str]:
    """Names of all studies."""
    with engines.read(engine) as connection:
        return list(connection.execute(select(Study.name).order_by(Study.name)).scalars())


def status(engine: Engine, study: str | None = None) -> list[DepthStatus]:
    """Where every depth stands, of `study` or of all studies."""

    def number(state: str) -> Any:  # noqa: ANN401 - SQLAlchemy's own type is a mouthful
        return func.count(case(((Trial.state == state) & (Trial.origin != MANUAL), 1)))

    joined = (Trial.study_id == Depth.study_id) & (Trial.depth == Depth.depth)
    states = [number(state) for state in ("complete", "running", "waiting", "failed")]
    query = (
        select(
            Study.name, Study.base, Depth.depth, Depth.budget, *states,
            func.count(case((Trial.origin == MANUAL, 1))),
            func.max(Trial.mean), Study.created_at,
        )
        .join(Depth, Depth.study_id == Study.id)
        .outerjoin(Trial, joined)
        .group_by(Study.name, Study.base, Depth.depth, Depth.budget, Study.created_at)
        .order_by(Study.name, Depth.depth)
    )  # fmt: skip
    if study is not None:
        query = query.where(Study.name == study)
    with engines.read(engine) as connection:
        return [DepthStatus(*row) for row in connection.execute(query)]


def insert_new(connection: Connection, table: type[Table], rows: Any) -> None:  # noqa: ANN401
    """Insert the rows (one mapping or a list of them) that break no unique key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _depth_row(study_id: int, name: str, depth: int, budget: int) -> dict[str, object]:
    return {
        "study_id": study_id,
        "depth": depth,
        "budget": budget,
        "optuna_study": optuna_name(name, depth),
    }


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Nested mappings as one mapping of dotted keys."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: dict[str, object] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
