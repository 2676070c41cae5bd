"""A stack of layers whose weights any position may use, as cut models would use them.

A position keeps the properties that its attention type gives it (its mask, its rotary frequencies,
whether it has a norm before its attention); the weights come from any source layer. So one model in
memory computes the same as every cut model, and its weights are the same tensors for all of them.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.func import functional_call

from evaluators.retrieval.surgery import Encoder

if TYPE_CHECKING:
    from sentence_transformers.base.modules import Transformer

Step = Callable[..., torch.Tensor]
"""Stands in for the layer of a position: takes the position and all arguments that the stock model
passes to the layer there, hidden states first; returns hidden states."""


class SharedStack:
    """The layers of a stock model, with `step` run in the place of each of them.

    Args:
        stack: the module list that holds the layers; calls of a layer go to `step` from now on.
        encoder: the base they belong to, which knows the attention types of cut models.
    """

    def __init__(self, stack: nn.ModuleList, encoder: Encoder) -> None:
        self._sources = list(stack)
        # twins share everything with the layers but the call, which is the stock one
        self._twins = [copy.copy(layer) for layer in stack]
        self._names = [set(layer.state_dict()) for layer in stack]
        self._encoder = encoder
        self._others: tuple[Any, ...] | None = None

        self.step: Step = self.pass_on
        for position, layer in enumerate(stack):
            layer.forward = partial(self._call_step, position)

    @classmethod
    def take_over(cls, model: SentenceTransformer, encoder: Encoder) -> "SharedStack":
        """Take over the layers of a retriever that keeps all of the base's."""
        stack = cast("Transformer", model[0]).model.get_submodule(encoder.stack)
        return cls(cast("nn.ModuleList", stack), encoder)

    @property
    def types(self) -> list[str] | None:
        """Attention type of each layer of the base; None where there are none."""
        return self._encoder.types(tuple(range(self._encoder.layers)))

    def place(self, position: int, source: int) -> int:
        """Return the layer of the base whose properties a source layer has at a position.

        Its mask, rotary frequencies and missing weights are those of the position in the cut model.
        """
        return self._encoder.place(position, source)

    def run(self, place: int, source: int, *arguments: Any, **options: Any) -> torch.Tensor:
        """Run one layer at one place.

        Args:
            place: layer of the base that lends its properties.
            source: layer of the base whose weights are used; weights that the place has no use for
                are dropped.
            *arguments: arguments that the stock model passes to the layer, hidden states first.
            **options: keyword arguments that the stock model passes to the layer.

        Returns:
            Hidden states (texts, tokens, hidden size).
        """
        output = functional_call(
            self._twins[place], self._weights(source, place), arguments, options
        )
        if isinstance(output, torch.Tensor):
            return output

        hidden: torch.Tensor
        hidden, *others = output
        self._others = tuple(others)
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
                source = subset[position]
                return self.run(self.place(position, source), source, *arguments, **options)
            return self.pass_on(position, *arguments, **options)

        return step

    def _call_step(self, position: int, *arguments: Any, **options: Any) -> Any:
        """Run the present step, and return its hidden states in the form of the stock layer.

        What else the layer hands on, such as relative positions, is that of the layer run last.
        """
        hidden = self.step(position, *arguments, **options)
        return hidden if self._others is None else (hidden, *self._others)

    def _weights(self, source: int, place: int) -> dict[str, torch.Tensor]:
        """Return parameters and buffers of layer `source` that `place` has a use for."""
        layer, wanted = self._sources[source], self._names[place]
        named = (*layer.named_parameters(), *layer.named_buffers())
        return {name: tensor for name, tensor in named if name in wanted}
