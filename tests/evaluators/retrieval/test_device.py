"""The device: the one asked for, and the only one that this process sees."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import evaluators
from evaluators.retrieval import Options, device


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with three GPUs, as far as this process can see."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    for name in (
        "CUDA_VISIBLE_DEVICES",
        "CUBLAS_WORKSPACE_CONFIG",
        "PYTORCH_NVML_BASED_CUDA_CHECK",
    ):
        monkeypatch.setenv(name, "")  # so that the test's end restores it
        monkeypatch.delenv(name)

    device.claim.cache_clear()
    yield
    device.claim.cache_clear()


def test_a_device_that_is_not_there_is_refused(small_toy: Path) -> None:
    context = evaluators.Context(evaluators.BaseOptions(model="base"), small_toy, "cuda:7")

    with pytest.raises(evaluators.InputError, match="no device 'cuda:7'"):
        Options(steps=0).create(context)


@pytest.mark.parametrize(
    "name", ["cuda:3", "cuda:one", "cuda:\u00b2", "cuda:99999", "cpu:0", "tpu", ""]
)
@pytest.mark.usefixtures("three_gpus")
def test_the_answer_to_a_wrong_device_lists_the_right_ones(name: str) -> None:
    with pytest.raises(
        evaluators.InputError, match=rf"no device '{name}' .* it has cpu and cuda:0, cuda:1, cuda:2"
    ):
        device.claim(name)


@pytest.mark.parametrize(
    ("name", "visible", "left"),
    [("cuda:1", None, "1"), ("cuda", None, "0"), (None, None, "0"), ("cuda:1", "4,6,7", "6")],
)
@pytest.mark.usefixtures("three_gpus")
def test_a_claimed_gpu_is_the_only_one_left(
    name: str | None, visible: str | None, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert device.claim(name) == "cuda"

    assert os.environ["CUDA_VISIBLE_DEVICES"] == left
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("three_gpus")
def test_the_cpu_hides_no_gpu() -> None:
    assert device.claim("cpu") == "cpu"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
