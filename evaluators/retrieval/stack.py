"""A stack of layers whose weights any position may use, as cut models would use them.

A position keeps what the rhythm gives it (its mask, its rotary frequencies, whether it has a norm
before its attention); the weights come from any source layer. So one model in memory computes what
every cut model computes, and its weights are the same tensors for all of them.
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

Call = Callable[..., torch.Tensor]
"""Takes a position, and what the stock model passes to the layer there."""


class SharedStack:
    """The layers of a stock model, run as `step` says: it stands in for each of them.

    Args:
        stack: the module list that holds the layers; their own calls go to `step` from now on.
    """

    def __init__(self, stack: nn.ModuleList) -> None:
        self._sources = list(stack)
        # twins share everything with the layers but the call, which is the stock one
        self._positions = [copy.copy(layer) for layer in stack]
        self._names = [set(layer.state_dict()) for layer in stack]
        self.step: Call = self.passed_on
        for position, layer in enumerate(stack):
            layer.forward = partial(self._called, position)

    @classmethod
    def within(cls, model: SentenceTransformer, name: str) -> "SharedStack":
        """Take over the module list `name` of a retriever's encoder."""
        stack = cast("Transformer", model[0]).model.get_submodule(name)
        return cls(cast("nn.ModuleList", stack))

    def run(
        self,
        position: int,
        source: int,
        *arguments: Any,  # noqa: ANN401 - whatever the stock model passes
        **options: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Hidden states after layer `source` at `position`; weights without a place are dropped."""
        output = functional_call(
            self._positions[position], self._weights(source, position), arguments, options
        )
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return hidden

    def passed_on(
        self, _position: int, hidden: torch.Tensor, *_arguments: object, **_options: object
    ) -> torch.Tensor:
        """Every position hands on what it gets."""
        return hidden

    def of(self, subset: tuple[int, ...]) -> Call:
        """Each position runs the layer that `subset` has there; those behind hand on."""

        def step(position: int, *arguments: Any, **options: Any) -> torch.Tensor:  # noqa: ANN401
            if position < len(subset):
                return self.run(position, subset[position], *arguments, **options)
            return self.passed_on(position, *arguments, **options)

        return step

    def _called(self, position: int, *arguments: Any, **options: Any) -> torch.Tensor:  # noqa: ANN401
        return self.step(position, *arguments, **options)

    def _weights(self, source: int, position: int) -> dict[str, torch.Tensor]:
        """Parameters and buffers of layer `source` that `position` has a place for."""
        layer, wanted = self._sources[source], self._names[position]
        named = (*layer.named_parameters(), *layer.named_buffers())
        return {name: tensor for name, tensor in named if name in wanted}
