"""The evaluator `table`: replays recorded scores, for simulation and tests.

The CSV has the columns `subset` and `mean`, optionally `depth`, and one column per task. Scores of
queries are not recorded; they can be invented, to fill a store as a real study would.
"""

import csv
import hashlib
import math
import random
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import Field

from evaluators._options import Options as BaseModel
from evaluators._options import Text
from evaluators._types import Context, Description, Evaluator, Outcome, Progress, TaskScore, silent
from evaluators.errors import InputError, TrialFailure

QUERY_DEVIATION = 0.35
"""Standard deviation of invented query scores."""
QUERY_CORRELATION = 0.85
"""Correlation of the invented query scores of two subsets: most of it is the query's own."""


class Options(BaseModel):
    """Keys of `[evaluator]` with `name = "table"`."""

    path: Text
    """The CSV, relative to the study file."""
    layers: Annotated[int, Field(ge=1)]
    """Number of layers of the base the scores were measured on."""
    period: Annotated[int, Field(ge=1)] | None = None
    """Every `period`-th layer of that base attends globally; leave out when it has no rhythm."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the Gaussian noise added to a mean, drawn from subset and seed."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that each evaluation takes, to imitate real trials."""
    queries: Annotated[int, Field(ge=0)] = 0
    """Invented queries per task, so that the store is filled as by a real study."""


@dataclass(frozen=True, slots=True)
class Table:
    """Recorded scores by subset key."""

    description: Description
    options: Options
    means: dict[str, float]
    tasks: dict[str, dict[str, float]]
    ease: dict[str, list[float]]
    """By task, what makes each invented query easier for every subset."""

    def evaluate(self, subset: tuple[int, ...], seed: int, progress: Progress = silent) -> Outcome:
        """The recorded scores of `subset`, with what the options add to them.

        Raises:
            TrialFailure: the table has no such row.
        """
        start = time.perf_counter()
        progress("evaluate", 0, 1)
        key = "_".join(map(str, subset))
        if key not in self.means:
            message = f"the table has no row for {key}"
            raise TrialFailure(message)
        rng = random.Random(f"{key}:{seed}")  # noqa: S311 - reproducible, not secret
        error = rng.gauss(0.0, self.options.noise) if self.options.noise else 0.0
        mean = self.means[key] + error
        recorded = {task: score + error for task, score in self.tasks[key].items()}
        if self.ease and not recorded:
            recorded = dict.fromkeys(self.ease, mean)
        tasks = {
            task: TaskScore(score, self._queries(task, score, f"{key}:{seed}"))
            for task, score in recorded.items()
        }
        time.sleep(self.options.seconds)
        progress("evaluate", 1, 1)
        return Outcome(mean, tasks, seconds={"evaluate": time.perf_counter() - start})

    def _queries(self, task: str, score: float, trial: str) -> dict[str, float]:
        """Invented scores by query, with the mean `score`; nothing keeps them within 0 to 1."""
        if not self.ease:
            return {}
        rng = random.Random(f"{task}:{trial}")  # noqa: S311 - reproducible, not secret
        own = QUERY_DEVIATION * math.sqrt(1 - QUERY_CORRELATION)
        drawn = [ease + rng.gauss(0.0, own) for ease in self.ease[task]]
        shift = score - math.fsum(drawn) / len(drawn)
        return {f"q{number}": value + shift for number, value in enumerate(drawn)}


def create(options: BaseModel, context: Context) -> Evaluator:
    """Read the table.

    Raises:
        InputError: the file is missing, or one of its rows is not `subset,mean[,task...]`.
    """
    if not isinstance(options, Options):
        raise TypeError(type(options).__name__)
    path = Path(context.folder, options.path).expanduser()
    if not path.is_file():
        message = f"no such file: {path} (evaluator.path)"
        raise InputError(message)
    try:
        means, tasks = _read(path, options.layers)
    except UnicodeDecodeError as error:
        message = f"cannot read {path}: it is not UTF-8 text"
        raise InputError(message) from error
    except (csv.Error, OSError) as error:
        message = f"cannot read {path} as CSV: {error}"
        raise InputError(message) from error
    description = Description(
        base=Path(context.base.model).name if context.base else path.stem,
        layers=options.layers,
        period=options.period,
        fingerprints={"table": hashlib.sha256(path.read_bytes()).hexdigest()},
    )
    names = next(iter(tasks.values()), {}) or ("table",)
    ease = {task: _ease(task, options.queries) for task in names} if options.queries else {}
    return Table(description, options, means, tasks, ease)


def _ease(task: str, queries: int) -> list[float]:
    """What each invented query of `task` adds to the score of every subset."""
    rng = random.Random(task)  # noqa: S311 - reproducible, not secret
    deviation = QUERY_DEVIATION * math.sqrt(QUERY_CORRELATION)
    return [rng.gauss(0.0, deviation) for _ in range(queries)]


def _read(path: Path, layers: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Means and task scores by subset key."""
    means: dict[str, float] = {}
    tasks: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        if missing := [name for name in ("subset", "mean") if name not in columns]:
            message = f"{path} has no column {missing[0]!r}: it needs subset,mean[,task columns]"
            raise InputError(message)
        names = [name for name in columns if name not in ("depth", "subset", "mean")]
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            key = _key(row["subset"], layers, where)
            if key in means:
                message = f"{where}: {key} appears twice"
                raise InputError(message)
            means[key] = _number(row["mean"], where)
            tasks[key] = {name: _number(row[name], where) for name in names}
    return means, tasks


def _key(text: str | None, layers: int, where: str) -> str:
    """`text` if it is the key of a subset of `layers` layers."""
    parts = (text or "").split("_")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    ascending = all(low < high for low, high in pairwise(numbers))
    if text is None or [str(number) for number in numbers] != parts or not ascending:
        message = f"{where}: {text!r} is not a subset such as 0_1_2_18"
        raise InputError(message)
    if numbers[-1] >= layers:
        message = f"{where}: layer {numbers[-1]} does not exist in a base of {layers} layers"
        raise InputError(message)
    return text


def _number(text: str | None, where: str) -> float:
    """`text` as a finite number."""
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        message = f"{where}: {text!r} is not a number"
        raise InputError(message)
    return number
