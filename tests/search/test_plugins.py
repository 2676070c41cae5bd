"""Parts that are added by adding a file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import evaluators
from search import plugins, samplers
from search.errors import InputError
from search.space import cadences


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[ModuleType]:
    """A package with a module, a package and parts that are private."""
    folder = tmp_path / "parts_of_these_tests"
    (folder / "packed").mkdir(parents=True)
    for name in ("__init__", "zeta", "alpha", "_base", "packed/__init__"):
        (folder / f"{name}.py").write_text(f"name = {name!r}\n", encoding="utf-8")
    (folder / "notes.txt").write_text("no module", encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        import parts_of_these_tests  # type: ignore[import-not-found]

        found: ModuleType = parts_of_these_tests
        yield found
    for name in [name for name in sys.modules if name.startswith("parts_of_these_tests")]:
        del sys.modules[name]


def test_every_public_module_is_a_part(parts: ModuleType) -> None:
    assert plugins.names(parts) == ["alpha", "packed", "zeta"]
    assert plugins.load(parts, "part", "alpha").name == "alpha"
    assert plugins.load(parts, "part", "packed").name == "packed/__init__"


@pytest.mark.parametrize("wrong", ["_base", "__init__", "notes", "", "alpha.py", "packed.x", "os"])
def test_any_other_name_is_refused_with_the_choices(parts: ModuleType, wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        plugins.load(parts, "part", wrong)
    assert str(caught.value) == f"unknown part {wrong!r}: choose one of alpha, packed, zeta"


def test_the_parts_of_this_project() -> None:
    assert plugins.names(evaluators) == ["retrieval", "table"]
    assert plugins.names(samplers) == samplers.names()
    assert plugins.names(cadences) == cadences.names()
