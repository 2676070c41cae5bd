"""Finds the parts that are added by adding a file: samplers and cadence rules."""

import importlib
import pkgutil
from types import ModuleType

from search.errors import InputError


def names(package: ModuleType) -> list[str]:
    """Names of the public modules in `package`, sorted."""
    modules = pkgutil.iter_modules(package.__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def load(package: ModuleType, kind: str, name: str) -> ModuleType:
    """Import the module `name` of `package`.

    Raises:
        InputError: there is no such module; the message lists the choices.
    """
    choices = names(package)
    if name not in choices:
        message = f"unknown {kind} {name!r}: choose one of {', '.join(choices)}"
        raise InputError(message)
    return importlib.import_module(f"{package.__name__}.{name}")
