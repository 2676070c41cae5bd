"""The evaluator `retrieval`: cut, short contrastive fine-tune, NDCG@10 on NanoBEIR-layout data."""

from typing import Annotated, Literal

from pydantic import Field

from evaluators._options import Options as BaseModel
from evaluators._options import Text
from evaluators._types import Context, Evaluator
from evaluators.errors import InputError

Count = Annotated[int, Field(ge=1)]


class TrainOptions(BaseModel):
    """`[evaluator.train]`: the pairs or triplets it learns from."""

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
    """Columns of passages that do not."""


class EvaluationOptions(BaseModel):
    """`[evaluator.test]`: the collections it is scored on."""

    data: Text = "sentence-transformers/NanoBEIR-en"
    """Hub id, or path of a local folder in NanoBEIR layout."""
    revision: Text | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    tasks: tuple[Text, ...] = ()
    """Splits to score, such as `NanoMSMARCO`; empty takes all of them."""
    batch_size: Count = 64
    """Texts encoded at once; halved when memory runs out."""


class Options(BaseModel):
    """Keys of `[evaluator]` with `name = "retrieval"`."""

    train: TrainOptions | None = None
    """What it learns from; may be left out when `steps = 0`."""
    test: EvaluationOptions = EvaluationOptions()
    """What it is scored on."""
    loss: Literal["multiple-negatives-ranking", "cached-multiple-negatives-ranking"] = (
        "multiple-negatives-ranking"
    )
    """The cached loss computes the same gradients in micro-batches (GradCache), in less memory."""
    steps: Annotated[int, Field(ge=0)] = 100
    """Optimiser steps; 0 scores the cut model untrained."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Anchors per step; the others' positives are the negatives of each."""
    micro_batch: Count = 32
    """Texts per forward pass with the cached loss; halved when memory runs out."""
    learning_rate: Annotated[float, Field(gt=0)] = 8e-5
    """Peak learning rate, after warm-up; it then falls linearly to 0."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises."""
    query_prompt: str = ""
    """Text put before each query."""
    document_prompt: str = ""
    """Text put before each document."""


def create(options: BaseModel, context: Context) -> Evaluator:
    """Load the base and the data, once for all trials of this process.

    Raises:
        InputError: something the options name is missing or does not fit.
    """
    if not isinstance(options, Options):
        raise TypeError(type(options).__name__)
    if context.base is None:
        message = "evaluator 'retrieval' needs a [base] section with the model to cut"
        raise InputError(message)
    if options.steps and options.train is None:
        message = "evaluator.train is missing: name the training data, or set steps = 0"
        raise InputError(message)
    # torch is imported here and not above, so that commands which only read the store start at once
    from evaluators.retrieval.evaluator import RetrievalEvaluator  # noqa: PLC0415

    return RetrievalEvaluator.create(options, context.base, context)
