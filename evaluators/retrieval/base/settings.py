"""The settings of a base that turn token embeddings into scores, as it was shipped or overridden.

They are the base's own where it brings the files of sentence-transformers; each can be overridden
by name in `[base]`. A base without such files has no prompts and the library's default pooling:
mean, or the last token where attention is causal.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from evaluators._bounds import LONGEST_INPUT
from evaluators._errors import InputError
from evaluators._options import BaseOptions, StrictRecord

PLAIN_LENGTHS = (64, 256)
"""Longest query and document, in tokens, of a base that does not say: short enough for many trials,
and longer than most queries and passages of NanoBEIR."""
log = logging.getLogger("layer-search")


class Settings(StrictRecord):
    """Everything but weights and layers that decides the scores of a base."""

    pooling: str
    """Pooling of token embeddings; several, joined by `+`, are put side by side."""
    pools_prompt: bool
    """Whether the tokens of the prompt are pooled as well."""
    dense: tuple[str, ...]
    """Modules with weights behind the pooling, such as `Dense 768 to 3072, Identity`."""
    normalize: bool
    """Whether embeddings have length 1."""
    similarity: str
    """Similarity of a query and a document."""
    query_prompt: str
    """Text before each query."""
    document_prompt: str
    """Text before each document."""
    query_length: int
    """Longest query, in tokens."""
    document_length: int
    """Longest document, in tokens."""
    dimensions: int | None
    """Dimensions of an embedding that count; None where all do."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Everything of a base behind its encoder.

    Attributes:
        modules: pooling, and the modules behind it; never changed, only copied.
        prompts: text before queries and documents, by name.
        similarity: similarity of a query and a document.
        dimensions: dimensions of an embedding that count; None where all do.
    """

    modules: tuple[nn.Module, ...]
    prompts: Mapping[str, str]
    similarity: str
    dimensions: int | None


def resolve(model: SentenceTransformer, options: BaseOptions, *, is_plain: bool) -> Heads:
    """Return the heads of a base, its own or as `[base]` overrides them.

    The lengths of its first module are set.

    Args:
        model: the base as the library loads it.
        options: the `[base]` section.
        is_plain: whether it is an encoder alone.

    Raises:
        InputError: an override does not fit the base.
    """
    modules = tuple(_override(list(model)[1:], options))
    _set_lengths(cast("Transformer", model[0]), options, is_plain=is_plain)
    if is_plain:
        log.warning(
            "%s brings no settings of sentence-transformers: unless [base] names others, it gets "
            "%s pooling, no prompts, queries of %d and documents of %d tokens",
            options.model,
            _pooling_of(list(model)),
            *PLAIN_LENGTHS,
        )

    return Heads(
        modules,
        _prompts(model, options),
        options.similarity or model.similarity_fn_name,
        model.truncate_dim,
    )


def describe(shell: Transformer, heads: Heads) -> Settings:
    """Return the settings in words and numbers, as the store keeps them.

    Args:
        shell: the first module, with its lengths.
        heads: everything behind it.
    """
    poolings = [module for module in heads.modules if isinstance(module, Pooling)]

    return Settings(
        pooling=_pooling_of(heads.modules),
        pools_prompt=all(pooling.include_prompt for pooling in poolings),
        dense=tuple(_in_words(module) for module in heads.modules if _has_weights(module)),
        normalize=any(isinstance(module, Normalize) for module in heads.modules),
        similarity=heads.similarity,
        query_prompt=heads.prompts["query"],
        document_prompt=heads.prompts["document"],
        query_length=shell.query_length or int(shell.max_seq_length or 0),
        document_length=shell.document_length or int(shell.max_seq_length or 0),
        dimensions=heads.dimensions,
    )


def _pooling_of(modules: Sequence[nn.Module]) -> str:
    """Return the modes of a pooling, joined by `+`."""
    modes = [module.pooling_mode for module in modules if isinstance(module, Pooling)]
    return "+".join(mode if isinstance(mode, str) else "+".join(mode) for mode in modes)


def _set_lengths(shell: Transformer, options: BaseOptions, *, is_plain: bool) -> None:
    """Set the longest query and document of a base, unless they stay its own.

    Raises:
        InputError: they are longer than the base has positions for.
    """
    own = shell.max_seq_length
    lacks = is_plain or own is None or own > LONGEST_INPUT
    query, document = PLAIN_LENGTHS if lacks else (shell.query_length, shell.document_length)
    shell.query_length = options.query_length or query
    shell.document_length = options.document_length or document

    longest = _positions(shell)
    wanted = max(shell.query_length or 0, shell.document_length or 0)
    if longest is None or longest >= wanted:
        return

    if wanted in (options.query_length, options.document_length):
        message = f"base.query_length and base.document_length go to {longest} with {options.model}"
        raise InputError(message)
    shell.query_length = min(shell.query_length or longest, longest)
    shell.document_length = min(shell.document_length or longest, longest)


def _positions(shell: Transformer) -> int | None:
    """Return the number of tokens that a base has positions for; None without a limit."""
    longest = getattr(shell.config.get_text_config(), "max_position_embeddings", None)
    if longest is None or longest < 1:
        return None

    # RoBERTa and its like count positions from behind the padding token's
    tables = (getattr(module, "position_embeddings", None) for module in shell.model.modules())
    skipped = [
        table.padding_idx + 1
        for table in tables
        if isinstance(table, nn.Embedding) and table.padding_idx is not None
    ]
    return int(longest) - max(skipped, default=0)


def _prompts(model: SentenceTransformer, options: BaseOptions) -> dict[str, str]:
    """Return all prompts of a base; `query` and `document` are the ones that are used."""
    prompts = {name: text or "" for name, text in model.prompts.items()}
    unused = [name for name in ("passage", "corpus") if prompts.get(name)]
    if unused and not prompts["document"] and options.document_prompt is None:
        log.warning(
            "%s has the prompt %r, which sentence-transformers does not put before documents: set "
            "base.document_prompt = %r to use it",
            options.model,
            unused[0],
            prompts[unused[0]],
        )

    given = {"query": options.query_prompt, "document": options.document_prompt}
    return {**prompts, **{name: text for name, text in given.items() if text is not None}}


def _override(modules: Sequence[nn.Module], options: BaseOptions) -> list[nn.Module]:
    """Return the modules behind the encoder, as `[base]` overrides them.

    Raises:
        InputError: there is nothing to pool or no Dense to keep, or sizes do not fit any more.
    """
    kept = [
        _pooled(module, options.pooling) if isinstance(module, Pooling) else module
        for module in modules
    ]
    if not any(isinstance(module, Pooling) for module in kept):
        message = f"{options.model} has no pooling: its modules give no embedding of a text"
        raise InputError(message)

    if options.dense is False:
        kept = [module for module in kept if not isinstance(module, Dense)]
    elif options.dense and not any(isinstance(module, Dense) for module in kept):
        message = f"base.dense: {options.model} has no Dense module to keep: leave the key out"
        raise InputError(message)

    if options.normalize is not None:
        kept = [module for module in kept if not isinstance(module, Normalize)]
        kept += [Normalize()] if options.normalize else []

    _require_fitting(kept, options)
    return kept


def _pooled(module: Pooling, mode: str | None) -> Pooling:
    """Return a pooling with another mode, if one is given."""
    if mode is None:
        return module

    pooled: Pooling = Pooling(
        module.embedding_dimension, mode, include_prompt=module.include_prompt
    )
    return pooled


def _require_fitting(modules: Sequence[nn.Module], options: BaseOptions) -> None:
    """Refuse a pooling whose size the module behind it does not take.

    Raises:
        InputError: it does not.
    """
    width = None
    for module in modules:
        if isinstance(module, Dense) and width not in (None, module.in_features):
            message = (
                f"base.pooling gives {width} numbers, but the Dense module of {options.model} "
                f"takes {module.in_features}: choose another pooling, or dense = false"
            )
            raise InputError(message)
        if isinstance(module, Pooling):
            width = module.pooling_output_dimension
        if isinstance(module, Dense):
            width = module.out_features


def _has_weights(module: nn.Module) -> bool:
    """Whether a module has weights."""
    return any(True for _ in module.parameters())


def _in_words(module: nn.Module) -> str:
    """Return the kind of a module with weights, and its sizes."""
    if isinstance(module, Dense):
        activation = type(module.activation_function).__name__
        return f"Dense {module.in_features} to {module.out_features}, {activation}"
    return type(module).__name__
