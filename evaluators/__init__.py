"""Knows models and data: turns a subset and a seed into scores.

An evaluator is a module (or package) with two names, found by the module's name:

- `Options`: a frozen pydantic model of the keys it takes under `[evaluator]`;
- `create(options, context)`: builds the evaluator, an object of the `Evaluator` protocol.

Importing this package never imports torch; `create` may.
"""

import importlib
import pkgutil
from typing import Protocol, cast

from pydantic import BaseModel

from evaluators._options import BaseOptions, Options, ScreenOptions
from evaluators._types import (
    Context,
    Description,
    Evaluator,
    Exporter,
    Outcome,
    PrefixTree,
    Progress,
    Resumable,
    Screener,
    ScreenScore,
    TaskScore,
    silent,
)
from evaluators.errors import EvaluatorError, InputError, TrialFailure

__all__ = [
    "BaseOptions",
    "Context",
    "Description",
    "Evaluator",
    "EvaluatorError",
    "Exporter",
    "InputError",
    "Options",
    "Outcome",
    "PrefixTree",
    "Progress",
    "Resumable",
    "ScreenOptions",
    "ScreenScore",
    "Screener",
    "TaskScore",
    "TrialFailure",
    "load",
    "names",
    "silent",
]

_SHARED = {"errors"}


class EvaluatorModule(Protocol):
    """What an evaluator's module offers."""

    Options: type[BaseModel]

    def create(self, options: BaseModel, context: Context) -> Evaluator:
        """Build the evaluator; raises `InputError` when it cannot be built from `options`."""
        ...


def names() -> list[str]:
    """Names of all evaluators."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if not name.startswith("_") and name not in _SHARED)


def load(name: str) -> EvaluatorModule:
    """The module of the evaluator called `name`.

    Raises:
        InputError: there is no such evaluator; the message lists the choices.
    """
    if name not in names():
        message = f"unknown evaluator {name!r}: choose one of {', '.join(names())}"
        raise InputError(message)
    return cast("EvaluatorModule", importlib.import_module(f"{__name__}.{name}"))
