"""Samplers: which subset is tried next.

A sampler is a module with one `SubsetSampler` class, found by the module's name:

    sampler = samplers.load("uniform")(space, seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: score(space.suggest(trial)), n_trials=50)
"""

import inspect
import sys

from search import discovery
from search.errors import InputError
from search.samplers._base import Observation, SubsetSampler, first_unseen, several_unseen, unseen

__all__ = [
    "Observation",
    "SubsetSampler",
    "first_unseen",
    "load",
    "names",
    "several_unseen",
    "unseen",
]


def names() -> list[str]:
    """Names of all samplers."""
    return discovery.names(sys.modules[__name__])


def load(name: str) -> type[SubsetSampler]:
    """The sampler class called `name`.

    Raises:
        InputError: there is no such sampler.
    """
    module = discovery.load(sys.modules[__name__], "sampler", name)
    for _, member in inspect.getmembers(module, inspect.isclass):
        if issubclass(member, SubsetSampler) and member.__module__ == module.__name__:
            return member
    message = f"{module.__name__} holds no SubsetSampler class"
    raise InputError(message)
