"""Files of a base: modules and settings that a cut cannot keep, or that run code, are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import evaluators
from tests.support import bases, retrieval

Spoil = Callable[[Path], None]


@pytest.fixture
def base(small_toy: Path, tmp_path: Path) -> Path:
    """A copy of the toy base, to be spoiled."""
    folder = tmp_path / "base"
    shutil.copytree(small_toy / "base", folder)
    return folder


def modules(*kinds: str) -> Spoil:
    """Spoil the list of modules."""

    def spoil(folder: Path) -> None:
        entries = [
            {"idx": number, "name": str(number), "path": "" if not number else f"{number}_M"}
            | {"type": kind}
            for number, kind in enumerate(kinds)
        ]
        (folder / "modules.json").write_text(json.dumps(entries), encoding="utf-8")

    return spoil


def setting(**changes: Any) -> Spoil:
    """Spoil the settings of the first module."""
    return lambda folder: bases.change_config(folder, changes, "sentence_bert_config.json")


def content(name: str, text: str) -> Spoil:
    """Replace a file."""

    def spoil(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return spoil


LIBRARY = "sentence_transformers.models"
FIRST = f"{LIBRARY}.Transformer"
FORWARD = {"method": "forward", "method_output_name": "last_hidden_state"}


@pytest.mark.parametrize(
    ("spoil", "mistake"),
    [
        (modules(FIRST, "stranger.Head"), "its module stranger.Head is Python code of its own"),
        (modules("os.system"), "its module os.system is Python code of its own"),
        (
            modules(FIRST, f"{LIBRARY}.WeightedLayerPooling"),
            "its module WeightedLayerPooling cannot be kept when layers are cut",
        ),
        (modules(f"{LIBRARY}.Pooling"), "its module Pooling cannot be kept"),
        (modules(FIRST, FIRST), "its module Transformer cannot be kept"),
        (modules(FIRST, f"{LIBRARY}.Dense"), "it has no 1_M/model.safetensors"),
        (content("modules.json", "{}"), "modules.json is not a list of modules"),
        (content("modules.json", "oh"), "modules.json is not JSON"),
        (
            content("modules.json", json.dumps([{"type": FIRST, "path": "../.."}])),
            "modules.json is not a list of modules",
        ),
        (content("modules.json", "[]"), "modules.json is not a list of modules"),
        (content("sentence_bert_config.json", "[]"), "sentence_bert_config.json is not a mapping"),
        (setting(transformer_task="fill-mask"), "its transformer_task is 'fill-mask'"),
        (
            setting(modality_config={"text": {**FORWARD, "method": "save_pretrained"}}),
            "modality_config.text takes something else than last_hidden_state",
        ),
        (
            setting(
                modality_config={"text": {**FORWARD, "method_output_name": ["hidden_states", 3]}}
            ),
            "modality_config.text takes something else than last_hidden_state",
        ),
        (setting(model_args={"gguf_file": "x.gguf"}), "its model_args sets 'gguf_file'"),
        (setting(config_kwargs={"auto_map": {}}), "its config_kwargs sets 'auto_map'"),
        (
            setting(tokenizer_args={"tokenizer_file": "/etc/passwd"}),
            "its tokenizer_args sets 'tokenizer_file'",
        ),
    ],
    ids=[
        "code",
        "builtin",
        "weights by layer",
        "no transformer",
        "two transformers",
        "pickle",
        "mapping",
        "no JSON",
        "path outside",
        "no module",
        "list",
        "task",
        "method",
        "layer",
        "model",
        "config",
        "tokenizer",
    ],
)
def test_what_a_cut_cannot_keep_is_refused_in_one_line(
    spoil: Spoil, mistake: str, base: Path, small_toy: Path
) -> None:
    spoil(base)
    with pytest.raises(evaluators.InputError, match=mistake) as refused:
        retrieval.build(small_toy, base=base)
    assert str(refused.value).startswith(f"cannot load base.model {base}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("section", [False, True])
def test_more_layers_than_a_subset_names_are_refused_before_they_fill_the_memory(
    base: Path, small_toy: Path, *, plain: bool, section: bool
) -> None:
    if plain:
        (base / "modules.json").unlink()
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config |= {"text_config": {"num_hidden_layers": 10**9}} if section else {"num_layers": 10**9}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")

    with pytest.raises(evaluators.InputError, match="is 1000000000: a base has at most 512 layers"):
        retrieval.build(small_toy, base=base)


@pytest.mark.parametrize("name", ["modules.json", "config.json", "sentence_bert_config.json"])
def test_settings_nested_without_end_are_refused(base: Path, small_toy: Path, name: str) -> None:
    (base / name).write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(evaluators.InputError, match=f"cannot load base.model .*{name} is not JSON"):
        retrieval.build(small_toy, base=base)


def test_a_pickle_behind_the_pooling_is_never_read(
    base: Path, small_toy: Path, tmp_path: Path
) -> None:
    class Bomb:
        """An object that touches a file when it is unpickled."""

        def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
            return Path.touch, (tmp_path / "marker",)

    modules(FIRST, f"{LIBRARY}.Pooling", f"{LIBRARY}.Dense")(base)
    (base / "2_M").mkdir()
    torch.save({"linear.weight": Bomb()}, base / "2_M" / "pytorch_model.bin")

    with pytest.raises(evaluators.InputError, match=r"it has no 2_M/model\.safetensors"):
        retrieval.build(small_toy, base=base)
    assert not (tmp_path / "marker").exists()


def test_a_base_may_ask_for_its_own_padding_but_not_for_a_kernel(
    base: Path, small_toy: Path
) -> None:
    setting(
        model_args={"attn_implementation": "stranger/kernel", "torch_dtype": "bfloat16"},
        tokenizer_args={"padding_side": "left"},
    )(base)

    loaded = retrieval.build(small_toy, base=base).base

    assert loaded.shell.tokenizer is not None
    assert loaded.shell.tokenizer.padding_side == "left"
    assert loaded.encoder.config._attn_implementation == "sdpa"
    assert {tensor.dtype for tensor in loaded.encoder.weights.values()} == {torch.float32}
