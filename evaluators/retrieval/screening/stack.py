"""A stack of layers whose weights any position may use, as cut models would use them.

A position keeps the properties that the rhythm gives it (its mask, its rotary frequencies, whether
it has a norm before its attention); the weights come from any source layer. So one model in memory
computes the same as every cut model, and its weights are the same tensors for all of them.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.func import functional_call

if TYPE_CHECKING:
    from sentence_transformers.base.modules import Transformer

Step = Callable[..., torch.Tensor]
"""Stands in for the layer of a position: takes the position and all arguments that the stock model
passes to the layer there, hidden states first; returns hidden states."""


class SharedStack:
    """The layers of a stock model, with `step` run in the place of each of them.

    Args:
        stack: the module list that holds the layers; calls of a layer go to `step` from now on.
    """

    def __init__(self, stack: nn.ModuleList) -> None:
        self._sources = list(stack)
        # twins share everything with the layers but the call, which is the stock one
        self._positions = [copy.copy(layer) for layer in stack]
        self._names = [set(layer.state_dict()) for layer in stack]

        self.step: Step = self.pass_on
        for position, layer in enumerate(stack):
            layer.forward = partial(self._call_step, position)

    @classmethod
    def take_over(cls, model: SentenceTransformer, name: str) -> "SharedStack":
        """Take over the module list `name` of a retriever's encoder."""
        stack = cast("Transformer", model[0]).model.get_submodule(name)
        return cls(cast("nn.ModuleList", stack))

    def run(
        self,
        position: int,
        source: int,
        *arguments: Any,
        **options: Any,
    ) -> torch.Tensor:
        """Run one layer at one position.

        Args:
            position: position in the cut model, from 0.
            source: layer of the base whose weights are used; weights that the position has no
                place for are dropped.
            *arguments: arguments that the stock model passes to the layer, hidden states first.
            **options: keyword arguments that the stock model passes to the layer.

        Returns:
            Hidden states (texts, tokens, hidden size).
        """
        output = functional_call(
            self._positions[position], self._weights(source, position), arguments, options
        )
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return hidden

    def pass_on(
        self, _position: int, hidden: torch.Tensor, *_arguments: object, **_options: object
    ) -> torch.Tensor:
        """Return the hidden states as they came: a step that runs no layer."""
        return hidden

    def step_through(self, subset: tuple[int, ...]) -> Step:
        """Return the step that makes the model the cut model of `subset`.

        Each position runs the layer that `subset` has there; positions behind the last pass on.
        """

        def step(position: int, *arguments: Any, **options: Any) -> torch.Tensor:
            if position < len(subset):
                return self.run(position, subset[position], *arguments, **options)
            return self.pass_on(position, *arguments, **options)

        return step

    def _call_step(self, position: int, *arguments: Any, **options: Any) -> torch.Tensor:
        """Run the present step; `step` may have changed since the layer was taken over."""
        return self.step(position, *arguments, **options)

    def _weights(self, source: int, position: int) -> dict[str, torch.Tensor]:
        """Return parameters and buffers of layer `source` that `position` has a place for."""
        layer, wanted = self._sources[source], self._names[position]
        named = (*layer.named_parameters(), *layer.named_buffers())
        return {name: tensor for name, tensor in named if name in wanted}
