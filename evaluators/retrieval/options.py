"""Keys of the evaluator `retrieval` in a study file."""

import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from evaluators._bounds import LARGEST_INTEGER, LARGEST_WEIGHT, LONGEST_LIST, LONGEST_NAME
from evaluators._options import Count, OneOrSeveral, Rate, Revision, StrictRecord, Text, Texts
from evaluators._types import EvaluatorOptions

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


def _check_name(name: str) -> str:
    """Refuse a name that could not stand in a table or a task's name unquoted."""
    if not _NAME.fullmatch(name):
        message = (
            f"should be letters, digits, '.', '_' and '-' without spaces, at most {LONGEST_NAME}"
        )
        raise ValueError(message)
    return name


class TrainOptions(StrictRecord):
    """`[evaluator.train]`: the pairs or triplets of texts to train on."""

    data: Text
    """Hub id, or path of a local .jsonl, .json, .csv or .parquet file, or of a folder of them."""
    config: Text | None = None
    """Configuration of a hub data set."""
    split: Text = "train"
    """Split, with an optional slice: `train[:20000]`."""
    revision: Revision | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    anchor: Text = "anchor"
    """Column of the query."""
    positive: Text = "positive"
    """Column of a passage that answers it."""
    negatives: Annotated[Texts, OneOrSeveral()] = ()
    """Columns of passages that do not answer it, or one column with a list of them per row."""


class HeldoutOptions(StrictRecord):
    """`[evaluator.heldout]`: collections that no trial and no screen ever sees."""

    data: Text
    """Hub id, or path of a local folder of collections."""
    revision: Revision | None = None
    """Commit or tag on the hub; pin it, so that the data stay the same."""
    tasks: Texts = ()
    """Tasks of the set, such as `NanoMSMARCO`; empty takes all of them."""
    batch_size: Count = 64
    """Texts encoded at once; halved when memory runs out."""
    name: Annotated[str, AfterValidator(_check_name)] | None = None
    """Name of the set; the last part of `data` when left out."""

    @model_serializer(mode="wrap")
    def _leave_out_new_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave keys that came after release 0.3 out where they say nothing.

        So the recipe of a study file that does not use them has the hash it always had.
        """
        plain: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        unsaid = {key for key in ("name", "weight") if key in fields}
        return {
            key: value
            for key, value in plain.items()
            if key not in unsaid or value != fields[key].default
        }


class EvaluationOptions(HeldoutOptions):
    """`[evaluator.test]`: the collections to score on."""

    data: Text = "sentence-transformers/NanoBEIR-en"
    """Hub id, or path of a local folder of collections."""
    revision: Revision | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    weight: Annotated[float, Field(gt=0, le=LARGEST_WEIGHT)] = 1.0
    """Weight of the set in the mean of a trial, beside the weights of the other sets."""


Options = TypeVar("Options", bound=HeldoutOptions)


def _check_names(sets: tuple[Options, ...]) -> tuple[Options, ...]:
    """Refuse two sets of one name."""
    given = [one.name for one in sets if one.name is not None]
    if repeated := sorted({name for name in given if given.count(name) > 1}):
        message = f"two sets are called {repeated[0]!r}: give each a name of its own"
        raise ValueError(message)
    return sets


class RetrievalOptions(EvaluatorOptions):
    """Keys of `[evaluator]` with `name = "retrieval"`, which `evaluators.retrieval.Options` is."""

    unscored: ClassVar[frozenset[str]] = frozenset({"heldout"})

    train: TrainOptions | None = None
    """The training data; may be left out when `steps = 0`."""
    test: Annotated[
        tuple[EvaluationOptions, ...],
        Field(min_length=1, max_length=LONGEST_LIST),
        OneOrSeveral(),
        AfterValidator(_check_names),
    ] = (EvaluationOptions(),)
    """The test data: one set or several."""
    heldout: Annotated[
        tuple[HeldoutOptions, ...],
        Field(max_length=LONGEST_LIST),
        OneOrSeveral(),
        AfterValidator(_check_names),
    ] = ()
    """Sets that no trial and no screen sees."""
    loss: Literal["multiple-negatives-ranking", "cached-multiple-negatives-ranking"] = (
        "multiple-negatives-ranking"
    )
    """The cached loss computes the same gradients in micro-batches (GradCache), in less memory."""
    steps: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] = 100
    """Optimiser steps; 0 scores the cut model untrained."""
    batch_size: Annotated[int, Field(ge=2, le=LARGEST_INTEGER)] = 64
    """Anchors per step; each has the positives of all others as negatives."""
    micro_batch: Count = 32
    """Texts per forward pass with the cached loss; halved when memory runs out."""
    learning_rate: Rate = 8e-5
    """Peak learning rate, after warm-up; it then falls linearly to 0."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises."""

    @model_serializer(mode="wrap")
    def _write_like_release_3(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a single test set as one table, and nothing where no set is held out.

        So the recipe of a study file of release 0.3 has the hash it always had.
        """
        plain: dict[str, Any] = handler(self)
        if len(self.test) == 1 and "test" in plain:
            (plain["test"],) = plain["test"]
        if not self.heldout:
            plain.pop("heldout", None)
        return plain

    @property
    def test_sets(self) -> Mapping[str, EvaluationOptions]:
        """The test sets by name, in the order of the study file."""
        return name_sets(self.test)

    @property
    def first_micro_batch(self) -> int | None:
        """Texts per forward pass in training; None is the whole batch in one pass."""
        cached = self.loss == "cached-multiple-negatives-ranking"
        return self.micro_batch if cached else None


def name_sets(sets: Sequence[Options]) -> dict[str, Options]:
    """Return sets by their names, in order.

    A set without a name is called by the last part of its data: `NanoBEIR-en`. A name that is
    taken gets a number.
    """
    taken = {one.name for one in sets}
    named: dict[str, Options] = {}
    for one in sets:
        name = one.name
        if name is None:
            last = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePath(one.data).name).strip("._-")
            stem = last[: LONGEST_NAME - 5] or "set"  # with room for a number
            numbered = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
            name = next(free for free in numbered if free not in taken)
        taken.add(name)
        named[name] = one
    return named
