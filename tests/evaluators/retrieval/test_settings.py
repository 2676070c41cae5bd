"""Settings of a base: its own, or overridden by name, the same in training, scoring and export."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

import evaluators
from tests.support import bases, retrieval
from tests.support.families import Family, write_base

pytestmark = pytest.mark.slow

OWN = {"query_length": None, "document_length": None}
PROMPTS = {"query": "the ", "document": "a "}
FAMILY = Family(
    "bert",
    pooling="cls",
    prompts=PROMPTS,
    dense=((24, nn.Tanh()),),
    normalize=True,
    similarity="dot",
)


@pytest.fixture(scope="module")
def shipped(toy_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base with settings of its own."""
    return write_base(FAMILY, toy_words, tmp_path_factory.mktemp("shipped") / "base")


@pytest.fixture(scope="module")
def plain(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same encoder without any file of sentence-transformers."""
    folder = tmp_path_factory.mktemp("plain") / "base"
    shutil.copytree(shipped, folder)
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    return folder


def modules_of(model: SentenceTransformer) -> list[str]:
    """Names of the modules of a retriever."""
    return [type(module).__name__ for module in model]


def test_settings_are_the_bases_own(shipped: Path, small_toy: Path) -> None:
    evaluator = retrieval.build(small_toy, base=shipped, settings=OWN)

    assert evaluator.description.settings == {
        "pooling": "cls",
        "pools_prompt": True,
        "dense": ["Dense 32 to 24, Tanh"],
        "normalize": True,
        "similarity": "dot",
        "query_prompt": "the ",
        "document_prompt": "a ",
        "query_length": 40,
        "document_length": 40,
        "dimensions": None,
    }
    model, _ = evaluator.base.cut((0, 2))
    assert modules_of(model) == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert model.prompts == PROMPTS


def test_each_setting_is_overridden_by_name(shipped: Path, small_toy: Path) -> None:
    changes = {
        "pooling": "mean",
        "dense": False,
        "normalize": False,
        "similarity": "euclidean",
        "query_prompt": "",
        "document_prompt": "one ",
        "query_length": 8,
        "document_length": 9,
    }
    evaluator = retrieval.build(small_toy, base=shipped, settings=changes)

    expected = {**changes, "dense": [], "pools_prompt": True, "dimensions": None}
    assert evaluator.description.settings == expected
    model, _ = evaluator.base.cut((0, 2))
    assert modules_of(model) == ["Transformer", "Pooling"]
    assert isinstance(model[1], Pooling)
    assert model[1].pooling_mode == "mean"
    tokens = model.preprocess(["a lamp " * 20], task="query")["input_ids"]
    assert tokens.shape == (1, 8)


def test_an_encoder_alone_has_mean_pooling_and_no_prompts_and_says_so_once(
    plain: Path, small_toy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        evaluator = retrieval.build(small_toy, base=plain, settings=OWN)
        evaluator.evaluate((0, 1), 0)

    settings = evaluator.description.settings
    assert settings["pooling"] == "mean"
    assert (settings["query_prompt"], settings["document_prompt"]) == ("", "")
    assert (settings["query_length"], settings["document_length"]) == (64, 64)
    assert (settings["dense"], settings["normalize"]) == ([], False)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "brings no settings of sentence-transformers" in said[0]
    assert "mean pooling, no prompts, queries of 64 and documents of 256 tokens" in said[0]


def test_normalize_can_be_added(plain: Path, small_toy: Path) -> None:
    evaluator = retrieval.build(small_toy, base=plain, settings={"normalize": True})
    model, _ = evaluator.base.cut((0, 1))

    assert isinstance(model[2], Normalize)
    assert float(torch.tensor(model.encode_query("a lamp")).norm()) == pytest.approx(1, abs=1e-6)


def test_heads_are_part_of_the_fingerprint(shipped: Path, small_toy: Path, tmp_path: Path) -> None:
    other = tmp_path / "base"
    shutil.copytree(shipped, other)
    model = SentenceTransformer(str(other), device="cpu")
    assert isinstance(model[2], Dense)
    with torch.no_grad():
        model[2].linear.weight[0, 0] += 1e-3
    model.save_pretrained(str(other), create_model_card=False)

    one, two = (retrieval.build(small_toy, base=base) for base in (shipped, other))
    bare = [
        retrieval.build(small_toy, base=base, settings={"dense": False})
        for base in (shipped, other)
    ]

    assert one.description.fingerprints["base"] != two.description.fingerprints["base"]
    assert bare[0].description.fingerprints == bare[1].description.fingerprints


def test_training_changes_the_heads_of_its_own_model_only(shipped: Path, small_toy: Path) -> None:
    evaluator = retrieval.build(small_toy, {"steps": 2, "learning_rate": 1e-2}, base=shipped)
    before = evaluator.base.fingerprint()

    trained = evaluator.base.cut((0, 1))[0]
    evaluator._finetune((0, 1), trained, 0, evaluators.silent)
    fresh = evaluator.base.cut((0, 1))[0]

    assert not torch.equal(trained[2].linear.weight, fresh[2].linear.weight)  # type: ignore[union-attr,arg-type]  # Dense modules
    assert evaluator.base.fingerprint() == before


def test_a_prompt_that_the_library_ignores_is_pointed_out(
    shipped: Path, small_toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sentence-transformers puts the prompt `document` before documents, even an empty one."""
    base = tmp_path / "base"
    shutil.copytree(shipped, base)
    prompts = {"query": "query: ", "passage": "passage: "}
    bases.change_config(base, {"prompts": prompts}, "config_sentence_transformers.json")

    with caplog.at_level(logging.WARNING):
        silent = retrieval.build(small_toy, base=base)
    assert silent.description.settings["document_prompt"] == ""
    assert "set base.document_prompt = 'passage: ' to use it" in caplog.text

    caplog.clear()
    with caplog.at_level(logging.WARNING):
        retrieval.build(small_toy, base=base, settings={"document_prompt": "passage: "})
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("family", "settings", "mistake"),
    [
        (Family("bert"), {"dense": True}, "base.dense: .* has no Dense module to keep"),
        (
            Family("bert", pooling=("cls", "mean"), dense=((8, nn.Tanh()),)),
            {"pooling": "mean"},
            "base.pooling gives 32 numbers, but the Dense module of .* takes 64",
        ),
        (
            Family("roberta"),
            {"document_length": 64},
            "base.query_length and base.document_length go to 63",
        ),
    ],
    ids=["dense", "pooling", "length"],
)
def test_an_override_that_does_not_fit_is_refused(
    family: Family,
    settings: dict[str, object],
    mistake: str,
    toy_words: list[str],
    small_toy: Path,
    tmp_path: Path,
) -> None:
    base = write_base(family, toy_words, tmp_path / "base")
    with pytest.raises(evaluators.InputError, match=mistake) as refused:
        retrieval.build(small_toy, base=base, settings=settings)
    assert "\n" not in str(refused.value)
