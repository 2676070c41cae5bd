"""Parts that are added by adding a file: samplers, cadence rules, evaluators."""

import importlib
import pkgutil
from types import ModuleType

from search.errors import InputError


def names(package: ModuleType) -> list[str]:
    """Return the names of the modules in `package` without a leading underscore, sorted."""
    modules = pkgutil.iter_modules(package.__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def load(package: ModuleType, kind: str, name: str) -> ModuleType:
    """Import the module `name` of `package`.

    Args:
        package: the package that holds parts of one kind, a module for each.
        kind: the kind, for messages: `sampler`.
        name: name of the module.

    Raises:
        InputError: there is no such module; the message lists the choices.
    """
    choices = names(package)
    if name not in choices:
        message = f"unknown {kind} {name!r}: choose one of {', '.join(choices)}"
        raise InputError(message)
    return importlib.import_module(f"{package.__name__}.{name}")
