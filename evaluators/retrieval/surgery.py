"""Surgery: a pretrained encoder cut to a subset of its layers.

The cut model is the stock model built from the shortened configuration, with the kept layers'
weights renamed and loaded strictly. Nothing of the base's module tree is reused, so no module can
remember its old index: the scored, the saved and the reloaded model are the same by construction.
"""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from evaluators._errors import InputError


@dataclass(frozen=True, slots=True)
class Encoder:
    """A pretrained encoder held in memory, ready to be cut any number of times.

    Attributes:
        config: configuration of the whole encoder.
        weights: its parameters and buffers by name, fp32, on the CPU; never changed.
        stack: name of the module list that holds the layers, `layers` or `encoder.layer`.
        period: every `period`-th layer attends globally; None when there is no such rhythm.
    """

    config: PreTrainedConfig
    weights: Mapping[str, torch.Tensor]
    stack: str
    period: int | None

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.config.num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.config.hidden_size)

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Encoder":
        """Take the weights and the configuration of `model`.

        Raises:
            InputError: it has no homogeneous stack of layers.
        """
        weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        return cls(model.config, weights, find_stack(model), find_period(model.config))

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
            model: PreTrainedModel = AutoModel.from_config(
                self._shortened_config(subset),
                attn_implementation=self.config._attn_implementation,  # noqa: SLF001 - its only name
                dtype=torch.float32,
                trust_remote_code=False,
            )

        weights, dropped = self._renamed_weights(subset, set(model.state_dict()))
        try:
            model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            message = f"{type(model).__name__} cannot be cut to {subset}: {reason}"
            raise InputError(message) from error

        notes: tuple[str, ...] = ()
        if dropped:
            notes = (f"layer {subset[0]} comes first and loses {', '.join(dropped)}",)
        return model.eval(), notes

    def fingerprint(self) -> str:
        """Return the SHA-256 over the names and values of all weights."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(self.weights[name].contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _shortened_config(self, subset: tuple[int, ...]) -> PreTrainedConfig:
        """Return the configuration of the cut model; positions follow the rhythm of the base."""
        config = copy.deepcopy(self.config)
        config.num_hidden_layers = len(subset)

        types = getattr(config, "layer_types", None)
        if types is not None:
            # with a rhythm the first layers' types are the rhythm; without one each keeps its own
            kept = range(len(subset)) if self.period else subset
            config.layer_types = [types[layer] for layer in kept]

        return config

    def _renamed_weights(
        self, subset: tuple[int, ...], expected: set[str]
    ) -> tuple[dict[str, torch.Tensor], list[str]]:
        """Give the weights the names they have in the cut model.

        Args:
            subset: source layers, ascending.
            expected: names of the cut model's weights.

        Returns:
            The weights by new name, and the names, within its layer, of each weight that the first
            layer has no place for.
        """
        position = {layer: place for place, layer in enumerate(subset)}
        prefix = f"{self.stack}."

        renamed: dict[str, torch.Tensor] = {}
        for name, tensor in self.weights.items():
            if not name.startswith(prefix):
                renamed[name] = tensor
                continue
            index, rest = name.removeprefix(prefix).split(".", 1)
            if int(index) in position:
                renamed[f"{prefix}{position[int(index)]}.{rest}"] = tensor

        first = f"{prefix}0."
        dropped = [name for name in renamed if name.startswith(first) and name not in expected]
        for name in dropped:
            del renamed[name]

        return renamed, [name.removeprefix(first) for name in dropped]


def find_stack(model: PreTrainedModel) -> str:
    """Return the name of the module list that holds all layers of `model`, all of one class.

    Raises:
        InputError: there is none, or more than one.
    """
    count = getattr(model.config, "num_hidden_layers", None)
    stacks: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and len({type(layer) for layer in module}) == 1
    ]

    if len(stacks) != 1:
        found = f"{len(stacks)} of them" if stacks else "none"
        message = (
            f"{type(model).__name__} cannot be cut: it needs exactly one stack of identical "
            f"layers, found {found}; choose an encoder such as ModernBERT, BERT or XLM-RoBERTa"
        )
        raise InputError(message)

    return stacks[0]


def find_period(config: PreTrainedConfig) -> int | None:
    """Return the period p of global attention, or None when there is no rhythm.

    In a rhythm of period p, layer i attends globally exactly when i % p == 0.
    """
    types = getattr(config, "layer_types", None)
    if not types or len(set(types)) == 1:
        return None

    is_global = [kind == "full_attention" for kind in types]
    for period in range(2, len(types) + 1):
        if is_global == [layer % period == 0 for layer in range(len(types))]:
            return period

    return None
