"""Frozen, typed records of the sections of a study file that evaluators share."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from evaluators._bounds import (
    CONTROL,
    LARGEST_INTEGER,
    LARGEST_RATE,
    LONGEST_INPUT,
    LONGEST_LIST,
    LONGEST_TEXT,
    MOST_LAYERS,
)

_CONTROL = re.compile(f"[{CONTROL}]")
_CONTROL_IN_PROMPT = re.compile(rf"(?![\n\t])[{CONTROL}]")
_LONGEST_REVISION = 200  # characters: five commits long
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def _check_revision(text: str) -> str:
    """Refuse a revision that could lead out of the cache of the hub, and is no name in git."""
    if not _REVISION.fullmatch(text) or ".." in text:
        message = "should be a commit, tag or branch: letters, digits, '.', '_', '-' and '/'"
        raise ValueError(message)
    return text


def _check_text(text: str) -> str:
    """Refuse control characters, which no path, no name and no column has."""
    if _CONTROL.search(text):
        message = "should have no control characters"
        raise ValueError(message)
    return text


def _check_prompt(text: str) -> str:
    """Refuse control characters but the end of a line and the tabulator."""
    if _CONTROL_IN_PROMPT.search(text):
        message = "should have no control characters but \\n and \\t"
        raise ValueError(message)
    return text


Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_check_text)]
"""A text that is not empty: a path, or a name."""
Texts = Annotated[tuple[Text, ...], Field(max_length=LONGEST_LIST)]
"""Any number of texts."""
Prompt = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_check_prompt)]
"""A text that is put before others; may be empty."""
Count = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
"""A number of things, at least one."""
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
"""A number of layers, at least one; also a distance between layers."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
"""A seed of everything that is left to chance."""
Tokens = Annotated[int, Field(ge=2, le=LONGEST_INPUT)]
"""A length in tokens: those of the beginning and of the end need two."""
Rate = Annotated[float, Field(gt=0, le=LARGEST_RATE)]
"""A learning rate."""
Revision = Annotated[str, Field(max_length=_LONGEST_REVISION), AfterValidator(_check_revision)]
"""A commit, tag or branch of a repository, which names files in the cache of the hub."""


class StrictRecord(BaseModel):
    """A record that cannot be changed, converts no types and refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class OneOrSeveral:
    """Marks a tuple that a study file may also write as one item without a list.

    `Annotated[tuple[Text, ...], OneOrSeveral()]` takes `"a"` and `["a", "b"]`, and is a tuple.
    """

    def __get_pydantic_core_schema__(
        self, source: type, handler: Callable[[type], core_schema.CoreSchema]
    ) -> core_schema.CoreSchema:
        """Return the schema; a mistake is reported for the form that was written."""
        several: Any = handler(source)
        forms = {"[one]": several["items_schema"][0], "[several]": several}
        either = core_schema.tagged_union_schema(
            forms, lambda value: "[several]" if isinstance(value, list | tuple) else "[one]"
        )
        return core_schema.no_info_after_validator_function(
            lambda found: found if isinstance(found, tuple) else (found,), either
        )


class BaseOptions(StrictRecord):
    """`[base]`: the pretrained encoder that is cut, and how text goes through it.

    Keys that are left out are as the base was shipped, by its files of sentence-transformers.
    """

    model: Text
    """Hub id, or path of a local folder in the hub's layout."""
    revision: Revision | None = None
    """Commit or tag on the hub; pin it, so that the recipe stays the same."""
    pooling: (
        Literal["mean", "cls", "max", "lasttoken", "mean_sqrt_len_tokens", "weightedmean"] | None
    ) = None
    """How token embeddings become the embedding of a text; the base's own when left out."""
    dense: bool | None = None
    """Whether the base's Dense modules behind the pooling are kept; they are when left out."""
    normalize: bool | None = None
    """Whether embeddings are brought to length 1; as the base does when left out."""
    similarity: Literal["cosine", "dot", "euclidean", "manhattan"] | None = None
    """Similarity of a query and a document; the base's own when left out, else cosine."""
    query_prompt: Prompt | None = None
    """Text before each query; the base's own when left out, "" for none."""
    document_prompt: Prompt | None = None
    """Text before each document; the base's own when left out, "" for none."""
    query_length: Tokens | None = None
    """Longest query, in tokens; the base's own when left out, 64 if it has none."""
    document_length: Tokens | None = None
    """Longest document, in tokens; the base's own when left out, 256 if it has none."""
    rhythm: bool = True
    """Whether positions follow the base's attention rhythm; if not, layers keep their own types."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of matrix products; weights are always kept in fp32."""


class ScreenOptions(StrictRecord):
    """`[screen]`: how all subsets are scored before the first trial."""

    weights: Literal["untrained", "supernet"] = "untrained"
    """The base's own, or a supernet's: one fine-tune in which each step draws a subset."""
    queries: Count = 10
    """Queries drawn from each task."""
    documents: Annotated[int, Field(ge=2, le=LARGEST_INTEGER)] = 60
    """Documents drawn from each task, with all that answer the drawn queries among them."""
    batch_size: Count = 64
    """Texts run through the encoder at once."""
    steps: Count = 240
    """Steps of the supernet; the rest of its training is as in `[evaluator]`."""
    learning_rate: Rate | None = None
    """Peak learning rate of the supernet; the one in `[evaluator]` when left out."""
    seed: Seed = 0
    """Seed of the supernet."""
