"""The evaluator `table`: replays recorded scores, for simulation and tests.

The CSV has the columns `subset` and `mean`, optionally `depth`, and one column per task. Scores of
queries are not recorded; they can be invented, to fill a store as a real study would.
"""

import csv
import hashlib
import math
import random
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from evaluators._bounds import (
    LARGEST_RECORDED,
    LARGEST_TABLE,
    LONGEST_LIST,
    LONGEST_SECONDS,
    MOST_QUERIES,
    describe_bad_key,
)
from evaluators._errors import InputError, TrialFailure
from evaluators._files import local_path
from evaluators._options import Layers, Text
from evaluators._types import (
    Context,
    Description,
    Evaluation,
    EvaluatorOptions,
    Progress,
    TaskEvaluation,
    silent,
)

QUERY_DEVIATION = 0.35
"""Standard deviation of invented query scores: about that of NDCG@10 over NanoBEIR's queries."""
QUERY_CORRELATION = 0.85
"""Correlation of the invented query scores of two subsets: about that of two cuts of one base on
NanoBEIR, where most of a score is due to the query."""

ONLY_TASK = "table"
"""Name of the one task that invented queries belong to in a table without task columns."""

Subset = tuple[int, ...]

_KEY = re.compile(r"\d{1,4}(_\d{1,4})*", re.ASCII)
_LONGEST_SHOWN = 60  # characters of a cell that a message repeats


class Options(EvaluatorOptions):
    """Keys of `[evaluator]` with `name = "table"`."""

    path: Text
    """The CSV, relative to the study file."""
    layers: Layers
    """Number of layers of the base the scores were measured on."""
    period: Layers | None = None
    """One of `period` layers of that base attends globally; leave out when it has no rhythm."""
    phase: Literal["first", "last"] = "first"
    """Which layer of each period is the global one."""
    noise: Annotated[float, Field(ge=0, le=LARGEST_RECORDED)] = 0.0
    """Standard deviation of the Gaussian noise added to a mean, drawn from subset and seed."""
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)] = 0.0
    """Seconds that each evaluation takes, to imitate real trials."""
    queries: Annotated[int, Field(ge=0, le=MOST_QUERIES)] = 0
    """Invented queries per task, so that the store is filled as by a real study."""

    def create(self, context: Context) -> "TableEvaluator":
        """Read the table.

        Args:
            context: the folder that `path` starts from, and the base that lends its name.

        Raises:
            InputError: the file is missing, or one of its rows is not `subset,mean[,task...]`.
        """
        path = local_path(self.path, context.folder, "evaluator.path")
        rows = _read(path, self.layers)

        description = Description(
            base=Path(context.base.model).name if context.base else path.stem,
            layers=self.layers,
            period=self.period,
            phase=self.phase,
            fingerprints={"table": hashlib.sha256(path.read_bytes()).hexdigest()},
        )
        ease = _invent_ease(rows, self.queries) if self.queries else {}

        return TableEvaluator(description, self, rows, ease)


@dataclass(frozen=True, slots=True)
class Row:
    """Recorded scores of one subset: its mean, and its score by task."""

    mean: float
    tasks: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TableEvaluator:
    """Recorded scores, replayed as if each had just been measured.

    Attributes:
        description: the base the scores were measured on.
        options: noise, duration and number of invented queries.
        rows: recorded scores by subset.
        ease: by task, how much each invented query raises the score of every subset; empty when
            no queries are invented.
    """

    description: Description
    options: Options
    rows: Mapping[Subset, Row]
    ease: Mapping[str, list[float]]

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Evaluation:
        """Return the recorded scores of `subset`, with noise and invented queries if asked for.

        Args:
            subset: source layers, ascending.
            seed: seed of noise and query scores.
            progress: called at the beginning and at the end.

        Raises:
            TrialFailure: the table has no such row.
        """
        start = time.perf_counter()
        progress("evaluate", 0, 1)

        if subset not in self.rows:
            message = f"the table has no row for {_key(subset)}"
            raise TrialFailure(message)

        trial = f"{_key(subset)}:{seed}"
        mean, scores = self._noisy(self.rows[subset], trial)
        tasks = {
            task: TaskEvaluation(score, self._query_scores(task, score, trial))
            for task, score in scores.items()
        }

        time.sleep(self.options.seconds)
        progress("evaluate", 1, 1)
        return Evaluation(mean, tasks, seconds={"evaluate": time.perf_counter() - start})

    def has(self, subset: Subset) -> bool:
        """Whether the table has a row for `subset`.

        Args:
            subset: source layers, ascending.
        """
        return subset in self.rows

    def _noisy(self, row: Row, trial: str) -> tuple[float, dict[str, float]]:
        """Return mean and task scores of `row`, all moved by one error drawn for this trial."""
        rng = random.Random(trial)
        error = rng.gauss(0.0, self.options.noise) if self.options.noise else 0.0

        mean = row.mean + error
        tasks = {task: score + error for task, score in row.tasks.items()}
        if self.ease and not tasks:
            tasks = dict.fromkeys(self.ease, mean)

        return mean, tasks

    def _query_scores(self, task: str, score: float, trial: str) -> dict[str, float]:
        """Invent query scores whose mean is `score`; nothing keeps them within 0 to 1.

        A query's score is its ease, which all subsets share, plus an error of this trial. With
        correlation r the ease has the share r of the variance, and the error has 1 - r.
        """
        if not self.ease:
            return {}

        rng = random.Random(f"{task}:{trial}")
        deviation = QUERY_DEVIATION * math.sqrt(1 - QUERY_CORRELATION)
        drawn = [ease + rng.gauss(0.0, deviation) for ease in self.ease[task]]

        shift = score - math.fsum(drawn) / len(drawn)
        return {f"q{number}": value + shift for number, value in enumerate(drawn)}


def _key(subset: Subset) -> str:
    """Write a subset as the table does: `0_1_2_18`."""
    return "_".join(map(str, subset))


def _invent_ease(rows: Mapping[Subset, Row], queries: int) -> dict[str, list[float]]:
    """Draw the ease of `queries` queries of every task, the same for every table."""
    deviation = QUERY_DEVIATION * math.sqrt(QUERY_CORRELATION)
    recorded = next(iter(rows.values())).tasks if rows else ()

    ease = {}
    for task in recorded or (ONLY_TASK,):
        rng = random.Random(task)
        ease[task] = [rng.gauss(0.0, deviation) for _ in range(queries)]
    return ease


def _read(path: Path, layers: int) -> dict[Subset, Row]:
    """Read the rows of a table over a base of `layers` layers.

    Raises:
        InputError: there is no such file, it is not a CSV in UTF-8, or a row does not fit.
    """
    if not path.is_file():
        message = f"no such file: {path} (evaluator.path)"
        raise InputError(message)
    if path.stat().st_size > LARGEST_TABLE:
        message = f"{path} is larger than a table may be, {LARGEST_TABLE} bytes: leave rows out"
        raise InputError(message)

    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            tasks = _task_columns(path, reader.fieldnames or ())

            return _read_rows(reader, path, tasks, layers)
    except UnicodeDecodeError as error:
        message = f"cannot read {path}: it is not UTF-8 text"
        raise InputError(message) from error
    except (csv.Error, OSError) as error:
        message = f"cannot read {path} as CSV: {error}"
        raise InputError(message) from error


def _task_columns(path: Path, columns: Iterable[str]) -> list[str]:
    """Return the columns that hold scores of tasks.

    Raises:
        InputError: one of the columns `subset` and `mean` is missing, or one can be no task.
    """
    found = list(columns)
    if missing := [name for name in ("subset", "mean") if name not in found]:
        message = f"{path} has no column {missing[0]!r}: it needs subset,mean[,task columns]"
        raise InputError(message)

    tasks = [name for name in found if name not in ("depth", "subset", "mean")]
    if len(tasks) > LONGEST_LIST:
        message = f"{path} has {len(tasks)} columns of tasks: a table has at most {LONGEST_LIST}"
        raise InputError(message)
    for task in tasks:
        if problem := describe_bad_key(task):
            message = f"{path}: {task[:_LONGEST_SHOWN]!r} is no name of a task: {problem}"
            raise InputError(message)
    return tasks


def _read_rows(
    reader: "csv.DictReader[str]", path: Path, tasks: list[str], layers: int
) -> dict[Subset, Row]:
    """Read mean and task scores of each subset."""
    rows: dict[Subset, Row] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"

        subset = _parse_subset(row["subset"], layers, where)
        if subset in rows:
            message = f"{where}: {_key(subset)} appears twice"
            raise InputError(message)

        rows[subset] = Row(
            mean=_parse_number(row["mean"], where),
            tasks={name: _parse_number(row[name], where) for name in tasks},
        )
    return rows


def _parse_subset(text: str | None, layers: int, where: str) -> Subset:
    """Read a subset of a base of `layers` layers; `where` begins the message of an error."""
    subset = tuple(map(int, text.split("_"))) if text and _KEY.fullmatch(text) else ()

    # a subset is written in one way only: every part a number without leading zeros, ascending
    ascending = all(low < high for low, high in pairwise(subset))
    if not subset or _key(subset) != text or not ascending:
        message = f"{where}: {_shown(text)} is not a subset such as 0_1_2_18"
        raise InputError(message)

    if subset[-1] >= layers:
        message = f"{where}: layer {subset[-1]} does not exist in a base of {layers} layers"
        raise InputError(message)

    return subset


def _parse_number(text: str | None, where: str) -> float:
    """Read a score; `where` begins the message of an error."""
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan

    if not math.isfinite(number):
        message = f"{where}: {_shown(text)} is not a number"
        raise InputError(message)
    if abs(number) > LARGEST_RECORDED:
        message = f"{where}: {_shown(text)} is no score: the largest is {LARGEST_RECORDED:.0f}"
        raise InputError(message)

    return number


def _shown(text: str | None) -> str:
    """Return the value of a cell as an error repeats it."""
    return repr(text if text is None else text[:_LONGEST_SHOWN])
