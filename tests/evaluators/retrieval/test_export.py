"""Exports: stock libraries load them and see the same model, or nothing is left."""

import json
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

import evaluators
from evaluators.retrieval import export
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.scoring import score
from evaluators.retrieval.surgery import Rhythm


@pytest.mark.slow
def test_an_export_loads_with_stock_libraries_and_scores_the_same(
    untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    subset = (0, 4, 8, 18)
    folder = untrained.export(subset, tmp_path / "models" / "base-L4H64-pruned", "# A card\n")
    assert (folder / "README.md").read_text() == "# A card\n"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    model = SentenceTransformer(str(folder), device="cpu")
    recorded = untrained.evaluate(subset, 0)
    for collection in untrained.collections:
        assert score(model, collection, 64) == recorded.tasks[collection.task]

    assert AutoModel.from_pretrained(folder).config.num_hidden_layers == 4
    assert AutoTokenizer.from_pretrained(folder)("red boat")["input_ids"][0] == 2

    config = json.loads((folder / "config.json").read_text())
    assert config["global_attn_every_n_layers"] == 3
    assert (config["global_rope_theta"], config["local_rope_theta"]) == (160000.0, 10000.0)
    assert config["layer_types"] == ["full_attention", *["sliding_attention"] * 2, "full_attention"]
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode"] == "mean"


def test_an_older_reader_sees_the_same_model(untrained: RetrievalEvaluator, tmp_path: Path) -> None:
    """Readers before `layer_types` and `rope_parameters` know only the positional fields."""
    folder = untrained.export((0, 1, 2, 18), tmp_path / "model", "# A card\n")
    newer = AutoModel.from_pretrained(folder).eval()

    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in ("layer_types", "rope_parameters"):
        del config[name]
    path.write_text(json.dumps(config))
    older = AutoModel.from_pretrained(folder).eval()

    ids = torch.randint(5, 200, (2, 48), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(newer(ids).last_hidden_state, older(ids).last_hidden_state)


def test_an_export_never_overwrites(untrained: RetrievalEvaluator, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()

    with pytest.raises(evaluators.InputError, match="exists already"):
        untrained.export((0, 1), tmp_path / "model", "")


def test_an_export_that_reloads_differently_leaves_nothing(
    untrained: RetrievalEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export._extend_config

    def spoil(path: Path, rhythm: Rhythm | None) -> None:
        real(path, rhythm)
        config = json.loads(path.read_text())
        config["layer_types"] = ["full_attention"] * 3
        path.write_text(json.dumps(config))

    monkeypatch.setattr(export, "_extend_config", spoil)

    with pytest.raises(evaluators.EvaluatorError, match="reloads other embeddings"):
        untrained.export((0, 1, 2), tmp_path / "model", "")
    assert list(tmp_path.iterdir()) == []
