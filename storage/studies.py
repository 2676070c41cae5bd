"""Studies in the store: begin, join, look up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage import engine as engines
from storage.errors import InputError
from storage.schema import Depth, Study, Table


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study as the store keeps it; `file` is the whole study file as plain values."""

    id: int
    uid: str
    name: str
    file: Mapping[str, Any]
    folder: str
    recipe_hash: str
    base: str
    layers: int
    period: int | None
    fingerprints: Mapping[str, str]
    versions: Mapping[str, str]
    budgets: Mapping[int, int]
    """Trial budget by depth."""


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
    versions: Mapping[str, str],
    budgets: Mapping[int, int],
    check: Callable[[StudyRecord], None] | None = None,
) -> StudyRecord:
    """Create the study `name`, or join it when `check` finds nothing wrong with what is there.

    Nothing is written when `check` raises.
    """
    with engines.write(engine) as connection:
        insert_new(
            connection,
            Study,
            {
                "uid": uuid4().hex,
                "name": name,
                "file": dict(file),
                "folder": folder,
                "recipe_hash": recipe_hash,
                "base": base,
                "layers": layers,
                "period": period,
                "fingerprints": dict(fingerprints),
                "versions": dict(versions),
            },
        )
        record = _find(connection, name)
        if check is not None:
            check(record)
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


def drift(
    record: StudyRecord, fingerprints: Mapping[str, str], versions: Mapping[str, str]
) -> str | None:
    """How this machine's base, data and libraries differ from those `record` began with.

    Of a version only the first number counts; of contents, every byte that reaches the model.

    Returns:
        One line that names every difference; None when there is none.
    """
    parts = sorted({*record.fingerprints, *fingerprints})
    differing = [
        f"other content of {part}"
        for part in parts
        if record.fingerprints.get(part) != fingerprints.get(part)
    ]
    for library in sorted({*record.versions} & {*versions}):
        began, here = record.versions[library], versions[library]
        if began.split(".")[0] != here.split(".")[0]:
            differing.append(f"{library} {here} (it began with {began})")
    return "; ".join(differing) or None


def require_same_data(
    record: StudyRecord, fingerprints: Mapping[str, str], versions: Mapping[str, str]
) -> None:
    """Refuse a base, data or libraries other than those `record` began with.

    Raises:
        InputError: they differ; the message names them.
    """
    if differing := drift(record, fingerprints, versions):
        message = (
            f"study {record.name!r} began with something else than this machine has: {differing}. "
            "Scores would not compare: restore what it began with, give the study a new name, or "
            "record the difference with each trial (--accept-drift)"
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
    return StudyRecord(**{**fields, "versions": row["versions"] or {}}, budgets=budgets)


def names(engine: Engine) -> list[str]:
    """Names of all studies."""
    with engines.read(engine) as connection:
        return list(connection.execute(select(Study.name).order_by(Study.name)).scalars())


def forget(engine: Engine, name: str) -> None:
    """Delete the study `name` with its trials, attempts and scores; Optuna's rows are not touched.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    with engines.write(engine) as connection:
        record = _find(connection, name)
        connection.execute(delete(Study).where(Study.id == record.id))


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
