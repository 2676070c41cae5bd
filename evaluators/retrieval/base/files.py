"""The look at the files a base brings, before a library follows them.

A study names its base, and a worker loads the base that the store names: so a base may bring
weights and settings, but neither Python files nor pickles, and no settings that would make a
library fetch or run more than its own safetensors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers.util import load_file_path

from evaluators._bounds import MOST_LAYERS
from evaluators._errors import InputError

KEPT_MODULES = ("Transformer", "Pooling", "Normalize", "Dense", "LayerNorm", "Dropout")
"""Modules of sentence-transformers that do the same for a cut model as for the whole one."""
_WITH_WEIGHTS = ("Dense", "LayerNorm")
_LIBRARY = "sentence_transformers."

_CONFIG_FILE = "config.json"
_LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")  # as configurations call them
_MODULES_FILE, _TRANSFORMER_FILE = "modules.json", "sentence_bert_config.json"
_WEIGHTS_FILE = "model.safetensors"

_OUTPUT = "last_hidden_state"
"""The output of an encoder whose meaning a cut keeps; any other one may name a layer."""
_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "model": frozenset({"dtype", "torch_dtype", "attn_implementation", "add_pooling_layer"}),
    "config": frozenset({"use_cache", "is_causal", "use_bidirectional_attention"}),
    "processor": frozenset(
        {"padding_side", "truncation_side", "model_max_length", "do_lower_case", "use_fast"}
    ),
}
"""Arguments for the libraries' loaders that a base may set; of all others some name files or code.
"""
_OLDER_NAMES = {
    "model_args": "model",
    "config_args": "config",
    "tokenizer_args": "processor",
    "model_kwargs": "model",
    "config_kwargs": "config",
    "processor_kwargs": "processor",
}


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """The files of one base: a local folder or a repository of the hub.

    Attributes:
        model: its name in the study file, for errors.
        source: the folder, or the hub id.
        revision: commit or tag on the hub.
    """

    model: str
    source: str
    revision: str | None

    @property
    def is_plain(self) -> bool:
        """Whether it is an encoder alone, without settings of sentence-transformers."""
        return self._find(_MODULES_FILE) is None

    def require_safe(self) -> None:
        """Refuse modules and settings that a cut cannot keep, or that could run code.

        Raises:
            InputError: there is such a module or setting, or there are more layers than a subset
                can name; the message names it.
        """
        if self.is_plain:
            self._check_layers("")
            return

        modules = self._read(_MODULES_FILE)
        if not isinstance(modules, list) or not modules or not all(map(_is_module, modules)):
            self._refuse(f"{_MODULES_FILE} is not a list of modules with type and path")

        for number, module in enumerate(modules):
            self._check_module(module["type"], module["path"], is_first=number == 0)
        self._check_layers(modules[0]["path"])
        self._check_transformer(modules[0]["path"])

    def _check_module(self, kind: str, path: str, *, is_first: bool) -> None:
        """Refuse a module that a cut cannot keep."""
        name = kind.rsplit(".", 1)[-1]
        if not kind.startswith(_LIBRARY):
            self._refuse(
                f"its module {kind} is Python code of its own, which is never run: choose a base "
                f"of the modules {', '.join(KEPT_MODULES)}"
            )
        if name not in KEPT_MODULES or (name == "Transformer") != is_first:
            self._refuse(
                f"its module {name} cannot be kept when layers are cut: a base is one Transformer, "
                f"then any of {', '.join(KEPT_MODULES[1:])}"
            )

        if name in _WITH_WEIGHTS and self._find(_WEIGHTS_FILE, path) is None:
            self._refuse(
                f"it has no {path}/{_WEIGHTS_FILE}: weights must be safetensors, because other "
                "formats can run code; load the model where you trust it, and save it again"
            )

    def _check_layers(self, path: str) -> None:
        """Refuse a model of more layers than a subset can name, before it fills the memory."""
        if self._find(_CONFIG_FILE, path) is None:
            return
        config = self._read(_CONFIG_FILE, path)
        sections = [config, *config.values()] if isinstance(config, dict) else []

        for section in sections:
            for key in _LAYERS if isinstance(section, dict) else ():
                layers = section.get(key)
                if isinstance(layers, int) and layers > MOST_LAYERS:
                    self._refuse(f"its {key} is {layers}: a base has at most {MOST_LAYERS} layers")

    def _check_transformer(self, path: str) -> None:
        """Refuse settings of the first module that would load or compute something else."""
        if self._find(_TRANSFORMER_FILE, path) is None:
            return
        settings = self._read(_TRANSFORMER_FILE, path)
        if not isinstance(settings, dict):
            self._refuse(f"{_TRANSFORMER_FILE} is not a mapping of settings")

        if settings.get("transformer_task", "feature-extraction") != "feature-extraction":
            self._refuse(
                f"its transformer_task is {settings['transformer_task']!r}: an encoder's "
                "is feature-extraction"
            )

        for name, modality in dict(settings.get("modality_config") or {}).items():
            output = modality.get("method_output_name")
            if modality.get("method") != "forward" or output not in (_OUTPUT, [_OUTPUT]):
                self._refuse(
                    f"modality_config.{name} takes something else than {_OUTPUT}, which "
                    "a cut may not have"
                )

        for name, role in _OLDER_NAMES.items():
            if unknown := sorted(set(settings.get(name) or {}) - _ARGUMENTS[role]):
                allowed = ", ".join(sorted(_ARGUMENTS[role]))
                self._refuse(
                    f"its {name} sets {unknown[0]!r}: only {allowed} are taken from a base"
                )

    def _find(self, name: str, folder: str = "") -> str | None:
        """Return the path of a file on this machine, fetched from the hub if need be."""
        found: str | None = load_file_path(
            self.source, name, subfolder=folder, revision=self.revision
        )
        return found

    def _read(self, name: str, folder: str = "") -> Any:
        """Return the content of a JSON file."""
        try:
            return json.loads(Path(str(self._find(name, folder))).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            self._refuse(f"{name} is not JSON")

    def _refuse(self, reason: str) -> None:
        """Raise the error on this base."""
        message = f"cannot load base.model {self.model}: {reason}"
        raise InputError(message)


def _is_module(entry: object) -> bool:
    """Whether an entry of modules.json names a type, and a folder inside the base."""
    if not isinstance(entry, dict):
        return False
    kind, path = entry.get("type"), entry.get("path")
    return isinstance(kind, str) and isinstance(path, str) and Path(path).name == path
