"""Frozen, typed records of what a study file says to an evaluator."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class Options(BaseModel):
    """A record that cannot be changed and knows no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class BaseOptions(Options):
    """The pretrained encoder that is cut, and how text goes through it."""

    model: Text
    """Hub id, or path of a local folder in the hub's layout."""
    revision: Text | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    pooling: Literal["mean", "cls", "max", "lasttoken"] = "mean"
    """How token embeddings become one embedding."""
    query_length: Annotated[int, Field(ge=2)] = 64
    """Longest query, in tokens."""
    document_length: Annotated[int, Field(ge=2)] = 256
    """Longest document, in tokens."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of matrix products; weights are always kept in fp32."""


class ScreenOptions(Options):
    """`[screen]`: how all subsets are scored before the first trial."""

    weights: Literal["untrained", "supernet"] = "untrained"
    """Those of the base, or of a supernet: one fine-tune in which each step draws a subset."""
    queries: Annotated[int, Field(ge=1)] = 10
    """Queries of each task."""
    documents: Annotated[int, Field(ge=2)] = 60
    """Documents of each task, those that answer its queries included."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Texts run at once."""
    steps: Annotated[int, Field(ge=1)] = 240
    """Steps of the supernet; all else of its training is as in `[evaluator]`."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of the supernet; that of `[evaluator]` when left out."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the supernet."""
