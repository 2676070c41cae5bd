"""The proof that a base can be cut: a cut computes the same as the base with layers bypassed.

A layer may depend on more than its weights and its type: on its number, on parameters that the
model holds for it elsewhere, on keys and values of an earlier layer. Then the cut model is another
one than its layers promise, and the base is refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from evaluators._errors import InputError, first_line
from evaluators.retrieval.surgery.encoder import Encoder
from evaluators.retrieval.surgery.shortening import layer_types, text_setting

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

TOLERANCE = 1e-4
"""Largest difference of hidden states, relative to the largest of them. The same operations in fp32
differ by a few roundings of 6e-8 each; a wrong weight shows in the first decimals."""

_FEW = 100  # ids of a model that reads characters, and has no vocabulary
_TEXTS, _TOKENS = 2, 12
"""Shape of the probe: more than one text, and enough tokens for a position to matter."""


def require_cuttable(model: PreTrainedModel, encoder: Encoder) -> None:
    """Prove by computation that cuts of `model` are its layers and nothing else.

    Args:
        model: the whole model, on the CPU.
        encoder: its weights, ready to be cut.

    Raises:
        InputError: a cut computes something else than the base with its layers bypassed, or cannot
            be made.
    """
    inputs = _probe(model)
    for subset in probe_subsets(encoder):
        try:
            gap = _gap(model, encoder, subset, inputs)
        except InputError:
            raise
        except Exception as error:  # whatever a model's class raises on a short configuration
            message = f"{_name(model)} cannot be cut to {subset}: {first_line(error)}"
            raise InputError(message) from error

        if gap is not None and not gap <= TOLERANCE:
            message = (
                f"{_name(model)} cannot be cut: its layers depend on more than their weights and "
                f"types, so that {subset} computes something else than these layers of the base "
                f"(off by {gap:.1g})"
            )
            raise InputError(message)


def _gap(
    model: PreTrainedModel,
    encoder: Encoder,
    subset: tuple[int, ...],
    inputs: dict[str, torch.Tensor],
) -> float | None:
    """Return the relative difference of a cut from the base with layers bypassed.

    None where a first layer loses a norm, as the notes of its trials say: then they must differ.
    """
    cut, lost = encoder.cut(subset)
    if lost:
        return None

    model.train(mode=False)
    with torch.inference_mode(), bypassed(model, encoder.stack, subset):
        expected = model(**inputs).last_hidden_state
    with torch.inference_mode():
        found = cut(**inputs).last_hidden_state
    return float((expected - found).abs().max() / expected.abs().max())


def probe_subsets(encoder: Encoder) -> list[tuple[int, ...]]:
    """Return subsets whose layers keep their own types: one with layer 0, one without.

    Both skip layers, and hold the last one, wherever the types allow it.
    """
    types = layer_types(encoder.config)

    def keep_types(subset: tuple[int, ...]) -> bool:
        return types is None or encoder.types(subset) == [types[layer] for layer in subset]

    found = []
    for first in (0, 1):
        subset: tuple[int, ...] = ()
        for layer in range(first, encoder.layers):
            is_next = bool(subset) and layer == subset[-1] + 1
            if (not is_next or layer == encoder.layers - 1) and keep_types((*subset, layer)):
                subset = (*subset, layer)

        if subset and subset not in found:
            found.append(subset)
    return found


@contextmanager
def bypassed(model: PreTrainedModel, stack: str, subset: Sequence[int]) -> Iterator[None]:
    """Let hidden states pass by the layers that are not in `subset`, within the block.

    These layers still run: what else they hand on, such as relative positions, stays as it is.

    Args:
        model: the whole model.
        stack: name of the module list that holds the layers.
        subset: layers that change the hidden states.
    """

    def pass_by(
        _layer: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> Any:
        hidden = arguments[0] if arguments else options["hidden_states"]
        if isinstance(output, torch.Tensor):
            return hidden
        return type(output)([hidden, *output[1:]])

    handles: list[RemovableHandle] = []
    try:
        for number, layer in enumerate(model.get_submodule(stack).children()):
            if number not in subset:
                handles.append(layer.register_forward_hook(pass_by, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _probe(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return token ids, the same in every process; the last tokens of one text are padding."""
    vocabulary = text_setting(model.config, "vocab_size") or _FEW
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(min(5, vocabulary - 1), vocabulary, (_TEXTS, _TOKENS), generator=generator)

    mask = torch.ones_like(ids)
    mask[-1, -3:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _name(model: PreTrainedModel) -> str:
    """Return the name of the model's class."""
    return type(model).__name__
