"""Keys of the evaluator `retrieval` in a study file."""

from typing import Annotated, Literal

from pydantic import Field

from evaluators._options import Count, StrictRecord, Text
from evaluators._types import EvaluatorOptions


class TrainOptions(StrictRecord):
    """`[evaluator.train]`: the pairs or triplets of texts to train on."""

    data: Text
    """Hub id, or path of a local .jsonl, .csv or .parquet file."""
    config: Text | None = None
    """Configuration of a hub data set."""
    split: Text = "train"
    """Split, with an optional slice: `train[:20000]`."""
    revision: Text | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    anchor: Text = "anchor"
    """Column of the query."""
    positive: Text = "positive"
    """Column of a passage that answers it."""
    negatives: tuple[Text, ...] = ()
    """Columns of passages that do not answer it."""


class EvaluationOptions(StrictRecord):
    """`[evaluator.test]`: the collections to score on."""

    data: Text = "sentence-transformers/NanoBEIR-en"
    """Hub id, or path of a local folder in NanoBEIR layout."""
    revision: Text | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    tasks: tuple[Text, ...] = ()
    """Splits to score, such as `NanoMSMARCO`; empty takes all of them."""
    batch_size: Count = 64
    """Texts encoded at once; halved when memory runs out."""


class RetrievalOptions(EvaluatorOptions):
    """Keys of `[evaluator]` with `name = "retrieval"`, which `evaluators.retrieval.Options` is."""

    train: TrainOptions | None = None
    """The training data; may be left out when `steps = 0`."""
    test: EvaluationOptions = EvaluationOptions()
    """The test data."""
    loss: Literal["multiple-negatives-ranking", "cached-multiple-negatives-ranking"] = (
        "multiple-negatives-ranking"
    )
    """The cached loss computes the same gradients in micro-batches (GradCache), in less memory."""
    steps: Annotated[int, Field(ge=0)] = 100
    """Optimiser steps; 0 scores the cut model untrained."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Anchors per step; each has the positives of all others as negatives."""
    micro_batch: Count = 32
    """Texts per forward pass with the cached loss; halved when memory runs out."""
    learning_rate: Annotated[float, Field(gt=0)] = 8e-5
    """Peak learning rate, after warm-up; it then falls linearly to 0."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises."""

    @property
    def first_micro_batch(self) -> int | None:
        """Texts per forward pass in training; None is the whole batch in one pass."""
        cached = self.loss == "cached-multiple-negatives-ranking"
        return self.micro_batch if cached else None
