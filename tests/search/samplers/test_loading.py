"""Samplers are found by name, and refuse options that they do not have."""

import sys
from types import ModuleType

import pytest

from search import samplers
from search.errors import InputError
from search.samplers import SubsetSampler
from tests.support.sampling import NAN, SPACE


def test_names() -> None:
    assert {"exhaustive", "gp", "swap", "tpe", "uniform"} <= set(samplers.names())
    assert samplers.names() == sorted(samplers.names())
    assert not any(name.startswith("_") for name in samplers.names())


@pytest.mark.parametrize("name", samplers.names())
def test_a_name_loads_the_class_of_its_module(name: str) -> None:
    found = samplers.load(name)
    assert issubclass(found, SubsetSampler)
    assert found.__module__ == f"search.samplers.{name}"


@pytest.mark.parametrize("wrong", ["random", "", "_base", "Swap", "uniform.py", "../uniform"])
def test_unknown_sampler(wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        samplers.load(wrong)
    choices = ", ".join(samplers.names())
    assert str(caught.value) == f"unknown sampler {wrong!r}: choose one of {choices}"


def test_module_without_a_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the base class nor a sampler that it imports is its own."""
    module = ModuleType("search.samplers.uniform")
    vars(module).update(SubsetSampler=SubsetSampler, SwapSampler=samplers.load("swap"))
    monkeypatch.setitem(sys.modules, "search.samplers.uniform", module)
    message = r"^search\.samplers\.uniform holds no SubsetSampler class$"
    with pytest.raises(InputError, match=message):
        samplers.load("uniform")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("swap", {"startup": -1}),
        ("swap", {"explore": -0.1}),
        ("swap", {"explore": 1.1}),
        ("swap", {"explore": NAN}),
        ("tpe", {"startup": -1}),
        ("gp", {"startup": 0}),
    ],
)
def test_bad_options(name: str, options: dict[str, float]) -> None:
    sampler: type = samplers.load(name)
    with pytest.raises(InputError, match=rf"^{name} takes .*\b{next(iter(options))} "):
        sampler(SPACE, **options)


@pytest.mark.parametrize("name", ["uniform", "swap", "tpe"])
def test_unknown_options(name: str) -> None:
    sampler: type = samplers.load(name)
    with pytest.raises(TypeError, match="'warp'"):
        sampler(SPACE, warp=1)
