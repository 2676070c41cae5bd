"""Scores: NDCG@10 as worked out by hand, and equal to the library's own on real data."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator
from sentence_transformers.util import cos_sim

from evaluators.retrieval.scoring import ndcg
from tests.support import retrieval

SHORT = {"query_length": 8, "document_length": 12}
"""Longest texts, in tokens: both sides cut them, and short ones take a quarter of the time."""


@pytest.mark.parametrize(
    ("hits", "relevant", "expected"),
    [
        ([True], 1, 1.0),
        ([False, True], 1, 0.6309297535714575),
        ([True, False, True], 2, 1.5 / 1.6309297535714575),
        ([False] * 10, 3, 0.0),
        ([True] * 10, 40, 1.0),
    ],
)
def test_ndcg_of_rankings_worked_out_by_hand(
    hits: list[bool], relevant: int, expected: float
) -> None:
    assert ndcg(hits, relevant) == pytest.approx(expected)


def in_fp32(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cosine similarity, never in bfloat16: there the best documents of a query tie."""
    with torch.autocast("cpu", enabled=False):
        return cos_sim(left.float(), right.float())


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_equal_the_librarys_on_real_data(
    precision: str, minilm: Path, mini_data: Path
) -> None:
    tasks = [] if precision == "fp32" else ["NanoMSMARCO", "NanoArguAna"]
    evaluator = retrieval.build(
        mini_data.parent,
        {"test": {"data": "nanobeir-mini", "tasks": tasks}},
        base=minilm,
        precision=precision,
        settings=SHORT,
    )
    evaluation = evaluator.evaluate((5,), 0)

    model, _ = evaluator.base.cut((5,))
    reference = NanoBEIREvaluator(
        [task.removeprefix("Nano").lower() for task in evaluation.tasks],
        dataset_id=str(mini_data),
        batch_size=64,
        write_csv=False,
        score_functions={"cosine": in_fp32},
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        expected = reference(model)

    assert len(evaluation.tasks) == (13 if precision == "fp32" else 2)
    assert reference.primary_metric is not None
    assert evaluation.mean == pytest.approx(expected[reference.primary_metric], abs=1e-6)

    for task, found in evaluation.tasks.items():
        names = [name for name in expected if name.lower().startswith(f"{task}_".lower())]
        (key,) = [name for name in names if name.endswith("cosine_ndcg@10")]
        assert found.score == pytest.approx(expected[key], abs=1e-6), task
        assert found.score == pytest.approx(sum(found.queries.values()) / len(found.queries))


@pytest.mark.slow
@pytest.mark.unmeasured
def test_the_real_winner_scores_its_untrained_number_in_the_librarys_evaluator(
    minilm: Path, mini_data: Path, tmp_path: Path
) -> None:
    tasks = ["NanoMSMARCO", "NanoFiQA2018", "NanoTouche2020"]
    keys = {"test": {"data": "nanobeir-mini", "tasks": tasks}}
    evaluator = retrieval.build(mini_data.parent, keys, base=minilm, settings=SHORT)
    recorded = evaluator.evaluate((0, 1, 5), 0)
    folder = evaluator.export((0, 1, 5), tmp_path / "minilm-L3H384-pruned", "# A card\n")

    reference = NanoBEIREvaluator(
        ["msmarco", "fiqa2018", "touche2020"], dataset_id=str(mini_data), write_csv=False
    )
    found = reference(SentenceTransformer(str(folder), device="cpu"))

    assert reference.primary_metric is not None
    assert found[reference.primary_metric] == pytest.approx(recorded.mean, abs=1e-6)
