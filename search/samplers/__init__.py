"""Samplers: each proposes the subset to try next.

A sampler is a module with one `SubsetSampler` class, found by the module's name:

    sampler = samplers.load("uniform")(space, seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: score(space.suggest(trial)), n_trials=50)
"""

import inspect
import sys

from search import plugins
from search.errors import InputError
from search.observation import Observation
from search.samplers._base import SubsetSampler

__all__ = ["Observation", "SubsetSampler", "load", "names"]


def names() -> list[str]:
    """Return the names of all samplers."""
    return plugins.names(sys.modules[__name__])


def load(name: str) -> type[SubsetSampler]:
    """Return the sampler class called `name`.

    Raises:
        InputError: there is no such sampler; the message lists the choices.
    """
    module = plugins.load(sys.modules[__name__], "sampler", name)
    for _, member in inspect.getmembers(module, inspect.isclass):
        if issubclass(member, SubsetSampler) and member.__module__ == module.__name__:
            return member

    message = f"{module.__name__} holds no SubsetSampler class"
    raise InputError(message)
