"""The shortened configuration: all settings that count or list layers, cut to the kept ones."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedConfig

from evaluators._errors import InputError

_BY_NUMBER = frozenset({"full_attn_idxs", "mlp_only_layers", "moe_layers"})
"""Settings that list the numbers of some layers: LFM2's attention layers, those with experts."""
_NOT_BY_LAYER = ("token", "architectures")
"""Parts of names of lists that have nothing to do with layers, whatever their length."""


def text_setting(config: PreTrainedConfig, name: str) -> Any:
    """Return a setting of the text encoder that `config` describes; None if it has no such."""
    return getattr(_text_config(config), name, None)


def count_layers(config: PreTrainedConfig) -> int | None:
    """Return the number of layers of the text encoder that `config` describes, if it has one."""
    count = text_setting(config, "num_hidden_layers")
    return count if isinstance(count, int) else None


def layer_types(config: PreTrainedConfig) -> list[str] | None:
    """Return the type of each layer, such as `full_attention`; None where it has none."""
    types = text_setting(config, "layer_types")
    return list(types) if types else None


def shorten(
    config: PreTrainedConfig, subset: tuple[int, ...], types: Sequence[str] | None
) -> PreTrainedConfig:
    """Return the configuration of a cut model, made anew as a reader of its file makes it.

    Args:
        config: configuration of the whole model; stays as it is.
        subset: source layers, ascending.
        types: types of the cut model's layers; None where the base has none.

    Raises:
        InputError: the model's class gives the last layers other types than these.
    """
    plain = copy.deepcopy(config.to_dict())
    text = _text_config(config)
    part = plain if text is config else plain[_name_of_part(config, text)]

    count = text.num_hidden_layers
    for name, value in part.items():
        part[name] = _kept(name, value, subset, count)

    part[_stored_name(text, "num_hidden_layers")] = len(subset)
    if types is not None and (stored := _stored_name(text, "layer_types")) in part:
        part[stored] = list(types)

    short = type(config).from_dict(plain)
    if types is not None and layer_types(short) != list(types):
        message = (
            f"layers {subset} would be saved as a model with other attention types: "
            f"{type(config).__name__} prescribes some, most often global attention in the last "
            "layer; keep such a layer last"
        )
        raise InputError(message)

    # the file of a configuration does not hold the kernel it is run with
    short._attn_implementation = config._attn_implementation  # noqa: SLF001 - its only name
    return short


def _kept(name: str, value: Any, subset: tuple[int, ...], count: int) -> Any:
    """Return a setting for the kept layers alone; a setting that lists no layers, as it is."""
    position = {layer: place for place, layer in enumerate(subset)}

    if isinstance(value, list):
        if name in _BY_NUMBER:
            return [position[layer] for layer in value if layer in position]
        if len(value) == count and not any(part in name for part in _NOT_BY_LAYER):
            return [value[layer] for layer in subset]

    if name == "per_layer_config" and isinstance(value, Mapping):
        # JSON has text for keys, a configuration that was never saved has numbers
        return {
            position[int(layer)]: of_layer
            for layer, of_layer in value.items()
            if int(layer) in position
        }

    return value


def _text_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the part of a configuration that describes the layers of text, the encoder's first."""
    for candidate in (config, getattr(config, "encoder", None)):
        if isinstance(candidate, PreTrainedConfig) and _has_layers(candidate):
            return candidate
    return config.get_text_config()


def _has_layers(config: PreTrainedConfig) -> bool:
    """Whether a configuration says how many layers there are."""
    return isinstance(getattr(config, "num_hidden_layers", None), int)


def _name_of_part(config: PreTrainedConfig, part: PreTrainedConfig) -> str:
    """Return the name under which `config` holds `part`."""
    names: list[str] = [name for name in config.sub_configs if getattr(config, name) is part]
    return names[0]


def _stored_name(config: PreTrainedConfig, name: str) -> str:
    """Return the name of a setting in the file, which some families call by one of their own."""
    return str(config.attribute_map.get(name, name))
