"""Protocols and records of evaluators: their input, their output and their optional abilities."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar, Literal, Protocol, runtime_checkable

from evaluators._options import BaseOptions, ScreenOptions, StrictRecord

Progress = Callable[[str, int, int], None]
"""Called with the stage (`cut`, `train`, `evaluate`, `screen`), the steps done and in all."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, slots=True)
class Context:
    """Surroundings in which an evaluator is built: base, folders and device.

    Attributes:
        base: the `[base]` section of the study file, if it has one.
        folder: folder that relative paths start from: the study file's.
        device: torch device such as `cuda:1`; None takes the best there is.
        base_only: load no data; the evaluator can describe and export, but not evaluate.
        scratch: folder of this machine for work that can be resumed after a crash; None keeps
            nothing.
        own_rhythm: whether a subset whose kept layers' types, read by position, form a rhythm in
            the phase of the base keeps these types, whatever the period. The positions of all
            other subsets, and of all subsets when it is false, follow the rhythm of the base.
    """

    base: BaseOptions | None
    folder: Path
    device: str | None = None
    base_only: bool = False
    scratch: Path | None = None
    own_rhythm: bool = False


@dataclass(frozen=True, slots=True)
class TaskShare:
    """Part of one task in the mean of a trial.

    Attributes:
        test_set: name of the test set that the task belongs to.
        share: weight of the task in the mean; the shares of all tasks add up to 1.
    """

    test_set: str
    share: float


@dataclass(frozen=True, slots=True)
class Description:
    """Properties of the base that the search needs to know.

    Attributes:
        base: short name of the base, `mmBERT-small`.
        layers: number of layers.
        period: one of `period` layers attends globally; None when the base has no such rhythm.
        phase: which layer of each period that is: layer i with i % period == 0 (`first`), or with
            (i + 1) % period == 0 (`last`).
        fingerprints: SHA-256 of the weights and of each data set, by their role: `base`, `train`.
        versions: versions of the libraries that decide a score, by library.
        settings: pooling, prompts and all else of the base that decides a score besides its
            weights, as plain JSON values by name.
        tasks: test set and share of each task; empty when all tasks of one set count alike.
    """

    base: str
    layers: int
    period: int | None
    phase: Literal["first", "last"] = "first"
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    tasks: Mapping[str, TaskShare] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """Score of one task.

    Attributes:
        score: NDCG@10, from 0 to 1.
        queries: score of each query, by query id.
    """

    score: float
    queries: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of one subset and seed, and how they came about.

    Attributes:
        mean: the score the study maximises, the mean over tasks by their shares.
        tasks: scores by task.
        seconds: wall time by stage: `cut`, `train`, `evaluate`.
        device: device the trial ran on.
        versions: versions of the libraries that decide a score, by library.
        notes: remarks for the user on this trial, such as a dropped norm.
    """

    mean: float
    tasks: Mapping[str, TaskEvaluation]
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Evaluator(Protocol):
    """Turns a subset and a seed into scores. Built once per process, used for every trial."""

    @property
    def description(self) -> Description:
        """Properties of the base that the search needs to know."""
        ...

    def evaluate(
        self, subset: tuple[int, ...], seed: int, progress: Progress = silent
    ) -> Evaluation:
        """Score a subset; the same subset and seed give the same scores on the same machine.

        Args:
            subset: source layers to keep, ascending.
            seed: decides everything that is left to chance.
            progress: called as the trial goes on.

        Raises:
            TrialFailure: there is no score; the message says why.
        """
        ...


class EvaluatorOptions(StrictRecord, ABC):
    """Keys of `[evaluator]` for one evaluator, and the way to build it from them.

    An evaluator is a public module or package `evaluators.NAME` with one class `Options` derived
    from this one. Importing it must be quick: model libraries are imported by `create`.

    Attributes:
        unscored: keys that decide no score, and are no part of the recipe.
    """

    unscored: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def create(self, context: Context) -> Evaluator:
        """Build the evaluator.

        Args:
            context: base, folders and device.

        Raises:
            InputError: something that the options name is missing or does not fit.
        """


@runtime_checkable
class Exporter(Protocol):
    """An evaluator whose subsets can be written as models."""

    @property
    def hidden_size(self) -> int:
        """Width of the base's hidden states."""
        ...

    def export(self, subset: tuple[int, ...], folder: Path, card: str) -> Path:
        """Write the cut, untrained model.

        Args:
            subset: source layers to keep, ascending.
            folder: where to write; must not exist.
            card: text of the model card.

        Returns:
            The folder.

        Raises:
            EvaluatorError: the folder exists, or the reloaded model differs from the cut one.
        """
        ...


@runtime_checkable
class Partial(Protocol):
    """An evaluator that has scores of some subsets only."""

    def has(self, subset: tuple[int, ...]) -> bool:
        """Whether a trial of `subset` can have a score.

        Args:
            subset: source layers, ascending.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """An evaluator that keeps in `Context.scratch` the work it can resume after a crash."""

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove the files kept to resume a trial whose result is safe.

        Args:
            subset: source layers of the trial, ascending.
            seed: seed of the trial.
        """
        ...


@dataclass(frozen=True, slots=True)
class ScreenScore:
    """Score of one subset with weights that all subsets share.

    Attributes:
        subset: source layers that are kept, ascending.
        ndcg: mean over tasks of NDCG@10, on a sample of queries and documents.
        agreement: mean over tasks of the correlation between the subset's query-document
            similarities and the whole base's.
    """

    subset: tuple[int, ...]
    ndcg: float
    agreement: float


class SubsetTree(Protocol):
    """All subsets to screen, as nodes of one prefix tree: a child keeps one more layer.

    With `Context.own_rhythm` each layer of each subset keeps the attention type that it has in the
    base. Without, the type of a layer is that of its position in the rhythm of the base.
    """

    def order(self) -> Iterator[tuple[int, ...]]:
        """Yield each subset to score once, mostly next to subsets that begin with its layers."""
        ...

    def draw(self, rng: Random) -> tuple[int, ...]:
        """Draw a random subset: first its depth, then one of that depth."""
        ...


@runtime_checkable
class Screener(Protocol):
    """An evaluator that can score all subsets with shared weights."""

    def screen(
        self, tree: SubsetTree, options: ScreenOptions, progress: Progress = silent
    ) -> Iterator[ScreenScore]:
        """Score every subset of `tree`, in its order.

        Args:
            tree: the subsets.
            options: weights, sample and training.
            progress: called after each step in which the weights are trained.

        Raises:
            InputError: the weights are to be trained, and there is no training data.
            TrialFailure: the weights became NaN.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and arithmetic of the model that keeps one subset.

    Attributes:
        parameters: all parameters.
        embedding_parameters: those of the embedding tables.
        layer_parameters: those of the layers; what is left are norms, poolers and heads.
        bytes: size of the weights that an export writes.
        query_flops: floating-point operations per token of a query of the longest length, of the
            matrix products of the layers; a multiplication and an addition are two.
        document_flops: the same per token of a document of the longest length.
    """

    parameters: int
    embedding_parameters: int
    layer_parameters: int
    bytes: int
    query_flops: int
    document_flops: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Encode throughput of one subset on one device, relative to the whole base.

    Attributes:
        device: name of the device.
        ratios: time of the whole base over that of the subset, round by round.
        tokens_per_second: median throughput of the subset, over the rounds.
        reference_tokens_per_second: median throughput of the whole base.
        documents: texts that were encoded in each round.
        batch_size: texts encoded at once.
        threads: threads of the processor that torch used.
        precision: `fp32` or `bf16`.
    """

    device: str
    ratios: tuple[float, ...]
    tokens_per_second: float
    reference_tokens_per_second: float
    documents: int
    batch_size: int
    threads: int
    precision: str


@runtime_checkable
class Measurable(Protocol):
    """An evaluator whose subsets have a size and a speed."""

    @property
    def device_name(self) -> str:
        """Name of the device that speeds are measured on: the model of the GPU or processor."""
        ...

    def count_cost(self, subset: tuple[int, ...]) -> Cost:
        """Count parameters, bytes and operations of the model that keeps `subset`.

        Args:
            subset: source layers to keep, ascending.
        """
        ...

    def measure_speed(self, subset: tuple[int, ...], progress: Progress = silent) -> Speed:
        """Measure how fast `subset` encodes documents of the test data, against the whole base.

        Nothing else should run on the machine meanwhile.

        Args:
            subset: source layers to keep, ascending.
            progress: called after every round, with the stage `measure`.
        """
        ...
