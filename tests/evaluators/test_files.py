"""Paths that a study file names: looked up, or refused in one sentence."""

from pathlib import Path

import pytest

import evaluators
from evaluators._files import local_path


def test_relative_paths_start_from_the_folder(tmp_path: Path) -> None:
    assert local_path("a/b", tmp_path, "k") == tmp_path / "a" / "b"
    assert local_path("/a/b", tmp_path, "k") == Path("/a/b")


def test_a_tilde_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/ann")
    assert local_path("~/a", tmp_path, "k") == Path("/ann/a")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("~nosuchperson/a", "home directory"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_path_that_cannot_be_looked_up_is_refused(
    tmp_path: Path, source: str, reason: str
) -> None:
    with pytest.raises(evaluators.InputError, match=f"^evaluator.path: cannot look for .*{reason}"):
        local_path(source, tmp_path, "evaluator.path")
