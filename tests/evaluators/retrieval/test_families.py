"""Every family: scored as it was shipped, cut as its layers promise, reloaded as it was cut."""

from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator
from torch import nn

from evaluators import ScreenOptions
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import retrieval
from tests.support.families import FAMILIES, LAYERS, Family, write_base
from tests.support.trees import tree_of

pytestmark = pytest.mark.slow

MEASURED = ("embedding_gemma2_text", "t5", "t5gemma", "lfm2", "modernbert")
"""Families with ways of their own through the surgery; all others run the same lines."""
CASES = [
    pytest.param(
        family, marks=() if family.kind in MEASURED else pytest.mark.unmeasured, id=family.kind
    )
    for family in FAMILIES
]

NANO = {"ToyPeople": "NanoMSMARCO", "ToyPlaces": "NanoNQ", "ToyThings": "NanoFEVER"}
"""Names that the library's own evaluator knows, for the tasks of the toy world."""
OWN = {"query_length": None, "document_length": None}
CUTS = ((0, 3, 5), (1, 5))
EVERYTHING = ScreenOptions(queries=10_000, documents=100_000)


@pytest.fixture(scope="module")
def world(small_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small toy world under names of NanoBEIR."""
    folder = tmp_path_factory.mktemp("families")
    source = small_toy / retrieval.SMALL
    for path in sorted(source.rglob("*")):
        if path.is_file():
            text, target = path.read_text(encoding="utf-8"), str(path.relative_to(source))
            for toy, nano in NANO.items():
                text, target = text.replace(toy, nano), target.replace(toy, nano)
            (folder / "test" / target).parent.mkdir(parents=True, exist_ok=True)
            (folder / "test" / target).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=CASES)
def shipped(
    request: pytest.FixtureRequest, world: Path, toy_words: list[str]
) -> tuple[Path, RetrievalEvaluator]:
    """Folder of a tiny base of each family, and an evaluator that scores it untrained."""
    family: Family = request.param
    folder = write_base(family, toy_words, world / family.kind)
    return folder, retrieval.build(world, {"test": {"data": "test"}}, base=folder, settings=OWN)


def test_the_whole_base_scores_as_the_library_scores_its_folder(
    shipped: tuple[Path, RetrievalEvaluator], world: Path
) -> None:
    folder, evaluator = shipped

    found = evaluator.evaluate(tuple(range(LAYERS)), 0)

    model = SentenceTransformer(str(folder), device="cpu")
    reference = NanoBEIREvaluator(
        [name.removeprefix("Nano").lower() for name in found.tasks],
        dataset_id=str(world / "test"),
        write_csv=False,
    )
    expected = reference(model)

    assert len(found.tasks) == 3
    for task, score in found.tasks.items():
        key = f"{task}_{model.similarity_fn_name}_ndcg@10"
        assert score.score == pytest.approx(expected[key], abs=1e-6), task
    assert 0 < found.mean < 1  # or everything would agree


def test_an_export_reloads_as_it_was_cut(
    shipped: tuple[Path, RetrievalEvaluator], tmp_path: Path
) -> None:
    _, evaluator = shipped
    texts = ["a lamp", "the red boat is in the old town", "who"]

    for subset in CUTS:
        cut, _ = evaluator.base.cut(subset)
        folder = evaluator.export(subset, tmp_path / "_".join(map(str, subset)), "# A card\n")
        again = SentenceTransformer(str(folder), device="cpu")

        for method in ("encode_query", "encode_document"):
            expected, found = (getattr(model, method)(texts) for model in (cut, again))
            assert abs(expected - found).max() <= 1e-6
        assert again.prompts == cut.prompts
        assert again.similarity_fn_name == cut.similarity_fn_name
        assert describe(encoder_of(again)) == describe(encoder_of(cut))


def test_a_screen_scores_as_cutting_does(shipped: tuple[Path, RetrievalEvaluator]) -> None:
    _, evaluator = shipped

    found = {score.subset: score.ndcg for score in evaluator.screen(tree_of(*CUTS), EVERYTHING)}

    expected = {subset: evaluator.evaluate(subset, 0).mean for subset in CUTS}
    assert found == pytest.approx(expected, abs=1e-6)


def encoder_of(model: SentenceTransformer) -> nn.Module:
    """The transformer inside a retriever."""
    assert isinstance(model[0], Transformer)
    encoder: nn.Module = model[0].auto_model
    return encoder


def describe(model: nn.Module) -> dict[str, Any]:
    """Plain settings and buffers of every module: types, windows, masks, rotary frequencies."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            is_plain = isinstance(value, bool | int | float | str | None)
            if is_plain and not key.startswith("_") and key != "name_or_path":
                found[f"{name}.{key}"] = value
        for key, buffer in module.named_buffers(recurse=False):
            found[f"{name}.{key}"] = buffer.tolist()

    config = model.config.to_dict()  # type: ignore[operator,union-attr]  # of a stock model
    settings = ("layer_types", "rope_parameters", "use_cache", "sliding_window")
    return found | {key: config.get(key) for key in settings}
