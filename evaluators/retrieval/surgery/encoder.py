"""Surgery: a pretrained encoder cut to a subset of its layers.

The cut model is the stock model built from the shortened configuration, with the kept layers'
weights renamed and loaded strictly. Nothing of the base's module tree is reused, so no module can
remember its old index: the scored, the saved and the reloaded model are the same by construction.
"""

import hashlib
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from evaluators._errors import InputError
from evaluators.retrieval.surgery.rhythm import (
    GLOBAL,
    Rhythm,
    find_own_rhythm,
    find_rhythm,
    types_in,
)
from evaluators.retrieval.surgery.shortening import (
    count_layers,
    layer_types,
    shorten,
    text_setting,
)

_SHARING = {
    "num_hidden_groups": "its layers share one set of weights",
    "num_kv_shared_layers": "its last layers use keys and values of earlier ones",
}
"""Settings of models whose layers do not stand alone."""
_LONGEST_REASON = 160  # characters of a list of weights, of which a model may have hundreds


@dataclass(frozen=True, slots=True)
class Encoder:
    """A pretrained encoder held in memory, ready to be cut any number of times.

    Attributes:
        model_class: stock class of the whole model and of every cut one.
        config: configuration of the whole encoder.
        weights: its parameters and buffers by name, fp32, on the CPU; never changed.
        stack: name of the module list that holds the layers, `layers` or `encoder.layer`.
        layers: number of layers.
        rhythm: rhythm of global attention; None when there is none.
        own_rhythm: whether kept layers whose types form a rhythm keep it, whatever its period; else
            positions follow the base's rhythm.
    """

    model_class: type[PreTrainedModel]
    config: PreTrainedConfig
    weights: Mapping[str, torch.Tensor]
    stack: str
    layers: int
    rhythm: Rhythm | None
    own_rhythm: bool = False

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.config.get_text_config().hidden_size)

    @classmethod
    def of(
        cls, model: PreTrainedModel, *, rhythm: bool = True, own_rhythm: bool = False
    ) -> "Encoder":
        """Take the weights and the configuration of `model`.

        Args:
            model: the whole model.
            rhythm: whether positions follow its rhythm; else every layer keeps its own type.
            own_rhythm: whether kept layers whose types form a rhythm keep it.

        Raises:
            InputError: it has no homogeneous stack of layers.
        """
        weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        stack = find_stack(model)

        # where a layer cannot take the type of another position, each keeps its own
        followed = rhythm and _are_exchangeable(weights, stack)
        found = find_rhythm(layer_types(model.config)) if followed else None

        layers = len(model.get_submodule(stack))  # type: ignore[arg-type]  # a list of modules
        return cls(type(model), model.config, weights, stack, layers, found, own_rhythm)

    def types(self, subset: tuple[int, ...]) -> list[str] | None:
        """Return the type of each layer of the model that keeps `subset`; None without types.

        Args:
            subset: source layers, ascending.
        """
        types = layer_types(self.config)
        if types is None:
            return None

        rhythm = self.cut_rhythm(subset)
        if rhythm is None:
            return [types[layer] for layer in subset]

        (local,) = set(types) - {GLOBAL}
        return types_in(rhythm, len(subset), local)

    def cut_rhythm(self, subset: tuple[int, ...]) -> Rhythm | None:
        """Return the rhythm of the model that keeps `subset`; None where the base has none.

        Args:
            subset: source layers, ascending.
        """
        types = layer_types(self.config)
        if self.rhythm is None or types is None:
            return None

        own = [types[layer] for layer in subset]
        follows_base = [self.rhythm.is_global(i) for i in range(len(own))] == [
            kind == GLOBAL for kind in own
        ]
        if not self.own_rhythm or follows_base:
            return self.rhythm
        return find_own_rhythm(own, self.rhythm) or self.rhythm

    def place(self, position: int, source: int) -> int:
        """Return the layer of the base whose properties a source layer has in a cut model.

        With a rhythm it is the one at the same position; else each keeps its own, except that the
        first of any model is like the base's first where their weights agree.

        Args:
            position: position in the cut model, from 0.
            source: layer of the base.
        """
        if self.rhythm is not None and not self.own_rhythm:
            return position

        types = layer_types(self.config)
        if position > 0 or (types and types[0] != types[source]):
            return source

        first, own = self._matrices(0), self._matrices(source)
        return 0 if all(first.get(name) == shape for name, shape in own.items()) else source

    def weights_by_layer(self) -> list[str]:
        """Return the names of weights outside the stack that hold a part for each layer."""
        subset = tuple(range(1, self.layers))  # with the last one: a class may prescribe its type
        with torch.device("meta"):
            shorter = self.model_class(shorten(self.config, subset, self.types(subset)))

        prefix = f"{self.stack}."
        return [
            name
            for name, tensor in shorter.state_dict().items()
            if not name.startswith(prefix) and tensor.shape != self.weights[name].shape
        ]

    def _matrices(self, layer: int) -> dict[str, torch.Size]:
        """Return the shapes of a layer's weights by name; vectors (norms, biases) left out."""
        prefix = f"{self.stack}.{layer}."
        return {
            name.removeprefix(prefix): tensor.shape
            for name, tensor in self.weights.items()
            if name.startswith(prefix) and tensor.dim() > 1
        }

    def cut(self, subset: tuple[int, ...]) -> tuple[PreTrainedModel, tuple[str, ...]]:
        """Build the model that keeps only the layers in `subset`.

        Args:
            subset: source layers, ascending.

        Returns:
            The model, on the CPU and in evaluation mode, and notes on weights it could not keep:
            a base that starts without a norm (ModernBERT) has no place for the pre-norm of another
            first layer.

        Raises:
            InputError: the base has no such layers, or its weights do not fit the shorter model.
        """
        if not subset or subset[-1] >= self.layers:
            message = f"cannot keep layers {subset}: the base has layers 0 to {self.layers - 1}"
            raise InputError(message)

        with no_init_weights():
            model = self.model_class(shorten(self.config, subset, self.types(subset)))

        weights, dropped = self._renamed_weights(subset, model.state_dict())
        try:
            model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            message = (
                f"{self.model_class.__name__} cannot be cut to {subset}: its layers have other "
                f"weights at other positions ({textwrap.shorten(reason, _LONGEST_REASON)})"
            )
            raise InputError(message) from error

        notes: tuple[str, ...] = ()
        if dropped:
            notes = (f"layer {subset[0]} comes first and loses {', '.join(dropped)}",)
        return model.eval(), notes

    def fingerprint(self) -> str:
        """Return the SHA-256 over the names and values of all weights."""
        return fingerprint(self.weights)

    def _renamed_weights(
        self, subset: tuple[int, ...], expected: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], list[str]]:
        """Give the weights the names they have in the cut model.

        Args:
            subset: source layers, ascending.
            expected: the cut model's weights by name, not yet filled.

        Returns:
            The weights by new name, and the names, within its layer, of each weight that the first
            layer has no place for.
        """
        position = {layer: place for place, layer in enumerate(subset)}
        prefix = f"{self.stack}."

        renamed: dict[str, torch.Tensor] = {}
        for name, tensor in self.weights.items():
            if not name.startswith(prefix):
                renamed[name] = self._kept_part(tensor, subset, expected.get(name))
                continue
            index, rest = name.removeprefix(prefix).split(".", 1)
            if int(index) in position:
                renamed[f"{prefix}{position[int(index)]}.{rest}"] = tensor

        # a norm before the first layer may have no place (ModernBERT); matrices always have one
        first = f"{prefix}0."
        dropped = [
            name
            for name, tensor in renamed.items()
            if name.startswith(first) and name not in expected and tensor.dim() == 1
        ]
        for name in dropped:
            del renamed[name]

        # weights that the first layer of any model holds for all of them (T5's relative positions)
        if not dropped and all(name in expected for name in renamed):
            held = [name for name in expected.keys() - renamed.keys() if name.startswith(first)]
            renamed |= {name: self.weights[name] for name in held if name in self.weights}

        return renamed, [name.removeprefix(first) for name in dropped]

    def _kept_part(
        self, tensor: torch.Tensor, subset: tuple[int, ...], place: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the part of a weight outside the stack that belongs to the kept layers.

        Gemma's embeddings and projections by layer lie side by side along one dimension.

        Args:
            tensor: the weight.
            subset: source layers, ascending.
            place: the cut model's weight of this name, if it has one.
        """
        if place is None or place.shape == tensor.shape or place.dim() != tensor.dim():
            return tensor

        sizes = list(zip(tensor.shape, place.shape, strict=True))
        differing = [axis for axis, (whole, cut) in enumerate(sizes) if whole != cut]
        whole, cut = sizes[differing[0]]
        if len(differing) != 1 or whole * len(subset) != cut * self.layers:
            return tensor

        blocks = tensor.unflatten(differing[0], (self.layers, whole // self.layers))
        kept = blocks.index_select(differing[0], torch.tensor(subset))
        return torch.flatten(kept, differing[0], differing[0] + 1)


def fingerprint(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over the names and values of weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def find_stack(model: PreTrainedModel) -> str:
    """Return the name of the module list that holds all layers of `model`, all of one class.

    Raises:
        InputError: there is none, or more than one.
    """
    count = count_layers(model.config)
    stacks: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and len({type(layer) for layer in module}) == 1
    ]

    name = type(model).__name__
    for setting, reason in _SHARING.items():
        if text_setting(model.config, setting):
            message = f"{name} cannot be cut: {setting} says that {reason}"
            raise InputError(message)

    if len(stacks) != 1:
        found = f"{len(stacks)} of them" if stacks else "none"
        message = (
            f"{name} cannot be cut: it needs exactly one stack of identical layers, found {found}; "
            "choose an encoder such as ModernBERT, BERT or XLM-RoBERTa"
        )
        raise InputError(message)

    return stacks[0]


def _are_exchangeable(weights: Mapping[str, torch.Tensor], stack: str) -> bool:
    """Whether a weight has the same shape in every layer that has it."""
    shapes: dict[str, torch.Size] = {}
    prefix = f"{stack}."
    for name, tensor in weights.items():
        if name.startswith(prefix):
            rest = name.removeprefix(prefix).split(".", 1)[1]
            if shapes.setdefault(rest, tensor.shape) != tensor.shape:
                return False
    return True
