"""What goes into an evaluator and what comes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol, runtime_checkable

from evaluators._options import BaseOptions, ScreenOptions

Progress = Callable[[str, int, int], None]
"""Called with the stage ("cut", "train", "evaluate"), the steps done and the steps in all."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an evaluator finds what its options name.

    Attributes:
        base: the `[base]` section of the study file, if it has one.
        folder: folder that relative paths start from: the study file's.
        device: torch device such as `cuda:1`; None takes the best there is.
        base_only: load no data; what is built can describe and export, but not evaluate.
        scratch: folder of this machine for what may be resumed after a crash; None keeps nothing.
    """

    base: BaseOptions | None
    folder: Path
    device: str | None = None
    base_only: bool = False
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """The base as the search needs to know it.

    Attributes:
        base: short name of the base, `mmBERT-small`.
        layers: number of layers.
        period: every `period`-th layer attends globally; None when the base has no such rhythm.
        fingerprints: SHA-256 of the weights and of each data set, by what they are.
        versions: versions of the libraries that decide a score.
    """

    base: str
    layers: int
    period: int | None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Score of one task: NDCG@10 in 0 to 1, and the score of each of its queries by query id."""

    score: float
    queries: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial found.

    Attributes:
        mean: the score the study maximises, the mean over tasks.
        tasks: scores by task.
        seconds: wall time by stage: `cut`, `train`, `evaluate`.
        device: device the trial ran on.
        versions: versions of the libraries that decide a score.
        notes: what the user should know of this trial, such as a dropped norm.
    """

    mean: float
    tasks: Mapping[str, TaskScore]
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Evaluator(Protocol):
    """Turns a subset and a seed into scores. Built once per process, used for every trial."""

    @property
    def description(self) -> Description:
        """The base, as the search needs to know it."""
        ...

    def evaluate(self, subset: tuple[int, ...], seed: int, progress: Progress = silent) -> Outcome:
        """Score `subset`; the same subset and seed give the same scores on the same machine.

        Raises:
            TrialFailure: there is no score, with the reason.
        """
        ...


@runtime_checkable
class Exporter(Protocol):
    """An evaluator whose subsets can be written as models."""

    @property
    def hidden_size(self) -> int:
        """Width of the base's hidden states."""
        ...

    def export(self, subset: tuple[int, ...], folder: Path, card: str) -> Path:
        """Write the cut, untrained model and its model card `card` into a new folder `folder`.

        Raises:
            EvaluatorError: the folder exists, or the reloaded model differs from the cut one.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """An evaluator that keeps in `Context.scratch` what it can resume after a crash."""

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove what was kept to resume this trial: its result is safe."""
        ...


@dataclass(frozen=True, slots=True)
class ScreenScore:
    """What shared weights say of one subset.

    Attributes:
        subset: the kept layers.
        ndcg: mean over tasks of NDCG@10, on the sample.
        agreement: mean over tasks of the correlation between its query-document similarities and
            those of the whole base.
    """

    subset: tuple[int, ...]
    ndcg: float
    agreement: float


class PrefixTree(Protocol):
    """All subsets that are screened, as the nodes of one tree: a child keeps one more layer."""

    def children(self, prefix: tuple[int, ...]) -> Sequence[int]:
        """Layers that can follow `prefix` on the way to a wanted subset, ascending."""
        ...

    def wanted(self, subset: tuple[int, ...]) -> bool:
        """Whether this node is a subset to score, and not only a way to others."""
        ...

    def draw(self, rng: Random) -> tuple[int, ...]:
        """A random subset: first its depth, then one of that depth."""
        ...


@runtime_checkable
class Screener(Protocol):
    """An evaluator that can score all subsets with shared weights."""

    def screen(
        self,
        tree: PrefixTree,
        options: ScreenOptions,
        progress: Progress = silent,
    ) -> Iterator[ScreenScore]:
        """Score every subset that `tree` wants, depth first.

        Raises:
            InputError: the supernet has nothing to be trained on.
            TrialFailure: the weights became NaN.
        """
        ...
