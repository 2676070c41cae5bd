"""The base: found or refused, and never run as code."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import evaluators
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import bases, retrieval

SUBSET = (0, 2, 5)


def test_a_base_that_is_not_there_is_refused(small_toy: Path) -> None:
    with pytest.raises(evaluators.InputError, match=r"base\.model: no such file or folder"):
        retrieval.build(small_toy, base="./nowhere")
    with pytest.raises(evaluators.InputError, match="no such folder, so the hub was asked"):
        retrieval.build(small_toy, base="near/bse")


def test_texts_longer_than_the_base_has_positions_for_are_refused(small_toy: Path) -> None:
    with pytest.raises(evaluators.InputError, match="document_length go to 512 with base"):
        retrieval.build(small_toy, settings={"document_length": 513})


@pytest.mark.slow
def test_code_of_a_base_is_neither_run_nor_exported(
    small_toy: Path, untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    base, marker = bases.with_code(small_toy / "base", tmp_path)
    evaluator = retrieval.build(small_toy, base=base)

    assert evaluator.evaluate(SUBSET, 0).mean == untrained.evaluate(SUBSET, 0).mean

    folder = evaluator.export(SUBSET, tmp_path / "export", "# A card\n")
    assert not any("auto_map" in path.read_text() for path in folder.rglob("*.json"))
    assert not any(folder.rglob("*.py"))
    assert not marker.exists()


def test_a_base_that_is_nothing_without_its_code_is_refused(
    small_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def agree(prompt: str) -> str:
        asked.append(prompt)
        return "y"

    monkeypatch.setattr("builtins.input", agree)
    base, marker = bases.with_code(small_toy / "base", tmp_path, {"model_type": "strange"})

    with pytest.raises(
        evaluators.InputError, match=r"base\.model \S+ needs Python code of its own"
    ):
        retrieval.build(small_toy, base=base)
    assert not marker.exists()


@pytest.mark.parametrize("named", [{}, {"transformers_weights": "adapter_model.bin"}])
def test_weights_that_are_a_pickle_are_refused(
    named: dict[str, str], small_toy: Path, tmp_path: Path
) -> None:
    class Bomb:
        """An object that touches a file when it is unpickled."""

        def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
            return Path.touch, (tmp_path / "marker",)

    base = tmp_path / "base"
    shutil.copytree(small_toy / "base", base)
    (base / "model.safetensors").unlink()
    bases.change_config(base, named)
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        torch.save({"weight": Bomb()}, base / name)

    with pytest.raises(evaluators.InputError) as refused:
        retrieval.build(small_toy, base=base)

    assert re.fullmatch(
        r"base\.model \S+ has no model\.safetensors: weights must be safetensors, .*"
        r"save it again with save_pretrained",
        str(refused.value),
    )
    assert not (tmp_path / "marker").exists()


def test_a_base_cannot_ask_for_a_kernel_from_the_hub(
    small_toy: Path, untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    expected = untrained.base.encoder.config._attn_implementation
    for key in ("attn_implementation", "_attn_implementation"):
        base = tmp_path / key
        shutil.copytree(small_toy / "base", base)
        bases.change_config(base, {key: "stranger/kernel"})

        config = retrieval.build(small_toy, base=base).base.encoder.config

        assert config._attn_implementation == expected
