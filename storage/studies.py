"""Studies in the store: begin, join, look up, delete."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import AfterValidator, TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, delete, exists, select, update

from storage.database import insert_missing, patient, read, write
from storage.errors import InputError, StoreTamperedError
from storage.schema import Depth, Screen, Study, Task
from storage.values.text import check_base, check_folder, check_label, check_study_name, check_uid

DEFAULT_MARGIN = 0.005
"""How far below the leader's mean a pick may lie unless the study says otherwise: half the standard
error of a mean over some 600 queries, so that simplicity costs less than chance does. A heuristic.
"""

StudyName = Annotated[str, AfterValidator(check_study_name)]
"""Name of a study."""
Label = Annotated[str, AfterValidator(check_label)]
"""Name of a task or a test set."""


@dataclass(frozen=True, slots=True)
class TaskShare:
    """Test set of a task, and its weight in the mean of a trial."""

    test_set: Label
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDefinition:
    """Everything that is settled when a study begins.

    The types of names say which ones are accepted, when it begins and whenever it is read.

    Attributes:
        name: its name, unique in the store.
        file: the whole study file as plain JSON values.
        folder: folder that the file's relative paths start from.
        recipe_hash: SHA-256 of everything that decides a score but subset and seed.
        base: short name of the base.
        layers: number of layers of the base.
        period: one of `period` layers attends globally; None when the base has no such rhythm.
        phase: which layer of each period that is, the `first` or the `last`.
        fingerprints: SHA-256 of the base and of each data set, by name.
        versions: versions of the libraries that decide a score.
        settings: pooling, prompts and all else of the base that decides a score besides its
            weights, by name; None in a study that began before they were recorded.
        tasks: test set and share of each task; empty when all tasks of one set count alike.
        reference: whether workers try the whole base, too, outside the budgets.
        margin: how far below the leader's mean a pick may lie.
    """

    name: StudyName
    file: Mapping[str, Any]
    folder: Annotated[str, AfterValidator(check_folder)]
    recipe_hash: str
    base: Annotated[str, AfterValidator(check_base)]
    layers: int
    period: int | None
    phase: Literal["first", "last"] = "first"
    fingerprints: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any] | None = None
    tasks: Mapping[Label, TaskShare] = field(default_factory=dict)
    reference: bool = False
    margin: float = DEFAULT_MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord(StudyDefinition):
    """One study as the store keeps it.

    Attributes:
        id: its number in this store.
        uid: 32 hexadecimal digits that no other study has, in any store.
        budgets: trial budget by depth.
        is_screened: whether subsets were screened.
    """

    id: int
    uid: Annotated[str, AfterValidator(check_uid)]
    budgets: Mapping[int, int]
    is_screened: bool = False

    @property
    def searched_depths(self) -> list[int]:
        """Depths with subsets to choose from: not that of the reference, which has only one."""
        return [depth for depth, budget in self.budgets.items() if budget or depth < self.layers]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyUpdate:
    """Changes to a study that alter none of its results.

    Attributes:
        file: the whole study file from now on.
        margin: how far below the leader's mean a pick may lie from now on.
        budgets: new trial budget of each depth that gets one.
        closed: depths of which no more trials may be begun.
        fingerprints: SHA-256 of base and data from now on; None leaves them as they are.
    """

    file: Mapping[str, Any]
    margin: float
    budgets: Mapping[int, int]
    closed: Collection[int]
    fingerprints: Mapping[str, str] | None = None


_DEFINITION = TypeAdapter(StudyDefinition)
_RECORD = TypeAdapter(StudyRecord)


_LONGEST_VALUE = 80  # characters of a wrong value that a message repeats: one line of a terminal


def optuna_name(study: str, depth: int) -> str:
    """Return the name of the Optuna study that mirrors one depth: `NAME/L4`."""
    return f"{study}/L{depth}"


@patient
def begin_study(
    engine: Engine,
    definition: StudyDefinition,
    budgets: Mapping[int, int],
    join: Callable[[StudyRecord], StudyUpdate | None] | None = None,
) -> StudyRecord:
    """Create a study, or join the one of the same name when `join` accepts it.

    All in one transaction: of two processes that join at the same time, the second one finds what
    the first has changed. Nothing is written when `join` raises.

    Args:
        engine: the store.
        definition: the study.
        budgets: trial budget by depth; a depth that the store has keeps its own.
        join: called with the study as the store has it; returns how to change it, None to leave it
            as it is; raises when it may not be joined.

    Raises:
        InputError: a name cannot stand in a store; the message says why.
    """
    row = asdict(definition)
    try:
        _DEFINITION.validate_python(row)
    except ValidationError as error:
        message = f"study {definition.name!r} cannot begin: {_first_mistake(error)}"
        raise InputError(message) from error

    with write(engine) as connection:
        row["uid"] = uuid4().hex
        del row["tasks"]
        insert_missing(connection, Study, row)

        # one process at a time; results may still refer to the study meanwhile
        lock = select(Study.id).where(Study.name == definition.name)
        connection.execute(lock.with_for_update(key_share=True))
        record = _find(connection, definition.name)
        found = join(record) if join is not None else None

        # of a study of an earlier release, too: the first to join it lists its tasks
        if tasks := _task_rows(record.id, definition.tasks):
            insert_missing(connection, Task, tasks)
        depths = [_depth_row(record, depth, budget) for depth, budget in budgets.items()]
        insert_missing(connection, Depth, depths)
        if found is not None:
            _update(connection, record, found)
        return _find(connection, definition.name)


def _task_rows(study_id: int, tasks: Mapping[str, TaskShare]) -> list[dict[str, object]]:
    """Return the column values of the tasks of a study, sorted so that no two joins lock up."""
    return [
        {"study_id": study_id, "task": task, **asdict(part)} for task, part in sorted(tasks.items())
    ]


def _update(connection: Connection, record: StudyRecord, change: StudyUpdate) -> None:
    """Write the changes to a study."""
    values: dict[str, object] = {"file": change.file, "margin": change.margin}
    if change.fingerprints is not None:
        values["fingerprints"] = dict(change.fingerprints)
    connection.execute(update(Study).where(Study.id == record.id).values(values))

    _write_budgets(connection, record, change.budgets)
    closed = (Depth.study_id == record.id, Depth.depth.in_(change.closed))
    connection.execute(
        update(Depth).where(*closed, Depth.budget > Depth.taken).values(budget=Depth.taken)
    )


@patient
def set_budgets(engine: Engine, record: StudyRecord, budgets: Mapping[int, int]) -> None:
    """Set the trial budget of each depth in `budgets`, adding depths the study does not have."""
    with write(engine) as connection:
        _write_budgets(connection, record, budgets)


def _write_budgets(connection: Connection, record: StudyRecord, budgets: Mapping[int, int]) -> None:
    """Write the trial budget of each depth in `budgets`, adding depths that are missing."""
    for depth, budget in budgets.items():
        insert_missing(connection, Depth, _depth_row(record, depth, budget))
        here = (Depth.study_id == record.id, Depth.depth == depth)
        connection.execute(update(Depth).where(*here).values(budget=budget))


@patient
def set_reference(engine: Engine, record: StudyRecord, *, wanted: bool) -> StudyRecord:
    """Set whether workers try the whole base, too, and return the study as it is then."""
    with write(engine) as connection:
        here = Study.id == record.id
        connection.execute(update(Study).where(here).values(reference=wanted))
        return _find(connection, record.name)


@patient
def add_depth(engine: Engine, record: StudyRecord, depth: int) -> None:
    """Make room for trials of `depth` that no budget counts; changes nothing where it exists.

    Raises:
        InputError: the study was deleted.
    """
    with write(engine) as connection:
        _find(connection, record.name)
        insert_missing(connection, Depth, _depth_row(record, depth, 0))


def _depth_row(record: StudyRecord, depth: int, budget: int) -> dict[str, object]:
    """Return the column values of a new depth."""
    return {
        "study_id": record.id,
        "depth": depth,
        "budget": budget,
        "optuna_study": optuna_name(record.name, depth),
    }


@patient
def find_study(engine: Engine, name: str) -> StudyRecord:
    """Return the study `name`.

    Raises:
        InputError: there is none; the message lists the studies of the store.
        StoreTamperedError: it holds something that no release writes.
    """
    with read(engine) as connection:
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

    parts = select(Task.task, Task.test_set, Task.share).where(Task.study_id == row["id"])
    tasks = {
        part.task: {"test_set": part.test_set, "share": part.share}
        for part in connection.execute(parts)
    }
    screened = select(exists().where(Screen.study_id == row["id"]))

    fields = {column: value for column, value in row.items() if column != "created_at"}
    fields |= {"versions": row["versions"] or {}, "budgets": budgets, "tasks": tasks}
    fields["is_screened"] = bool(connection.execute(screened).scalar())
    try:
        return _RECORD.validate_python(fields)
    except ValidationError as error:
        message = (
            f"study {name!r} holds something that layer-search never writes: "
            f"{_first_mistake(error)}. Somebody else wrote to the store: restore a backup, or "
            "mend the table search_studies or search_tasks"
        )
        raise StoreTamperedError(message) from error


def _first_mistake(error: ValidationError) -> str:
    """Return the first mistake in a study in words: where, what should be there, and what is."""
    mistake = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in mistake["loc"] if part != "[key]")
    problem = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = repr(mistake["input"])[:_LONGEST_VALUE]
    return f"{where} {problem}, and is {given}"


@patient
def study_names(engine: Engine) -> list[str]:
    """Return the names of all studies, sorted."""
    with read(engine) as connection:
        return list(connection.execute(select(Study.name).order_by(Study.name)).scalars())


@patient
def study_names_by_uid(engine: Engine) -> dict[str, str]:
    """Return the name of each study by its `uid`."""
    with read(engine) as connection:
        return {row.uid: row.name for row in connection.execute(select(Study.uid, Study.name))}


def delete_study(engine: Engine, name: str) -> None:
    """Delete a study with its trials, attempts and scores; Optuna's rows are not touched.

    Raises:
        InputError: there is none; the message lists the studies of the store.
    """
    with write(engine) as connection:
        record = _find(connection, name)
        connection.execute(delete(Study).where(Study.id == record.id))
