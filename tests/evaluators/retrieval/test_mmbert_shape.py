"""mmBERT-small's true shape, with random weights: the card's three picks, cut and exported."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, ModernBertConfig, ModernBertModel
from transformers.initialization import no_init_weights

from evaluators._toy.base import make_tokenizer
from evaluators._toy.words import vocabulary
from evaluators.retrieval.evaluator import RetrievalEvaluator
from tests.support import retrieval

# files of 400 MB are written and read
pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

EMBEDDINGS = 98_304_000
LAYER = 1_917_696  # two norms of 384 among them
OUTER_NORMS = 2 * 384  # after the embeddings, and at the end
FIRST_NORM = 384  # the first layer of the stack has no norm before its attention
PICKS = {
    4: (0, 1, 2, 18),
    7: (0, 1, 2, 3, 4, 5, 18),
    13: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 18),
}


@pytest.fixture(scope="module")
def evaluator(small_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> RetrievalEvaluator:
    """An untrained evaluator over a base of mmBERT-small's shape."""
    folder = tmp_path_factory.mktemp("mmbert") / "mmBERT-small"

    theta = {"rope_type": "default", "rope_theta": 160000.0}
    config = ModernBertConfig(
        vocab_size=256_000,
        hidden_size=384,
        intermediate_size=1152,
        num_hidden_layers=22,
        num_attention_heads=6,
        local_attention=128,
        max_position_embeddings=8192,
        rope_parameters={"full_attention": theta, "sliding_attention": dict(theta)},
        pad_token_id=0,
        eos_token_id=1,
        sep_token_id=1,
        cls_token_id=1,
        bos_token_id=2,
    )

    with no_init_weights():
        model = ModernBertModel(config)

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.02, generator=generator)
    model.save_pretrained(folder)
    make_tokenizer(vocabulary()).save_pretrained(folder)

    lengths = {"query_length": 64, "document_length": 512}
    return retrieval.build(small_toy, base=folder, settings=lengths)


def test_the_base_has_the_published_shape(evaluator: RetrievalEvaluator) -> None:
    base = evaluator.description

    assert (base.base, base.layers, base.period) == ("mmBERT-small", 22, 3)
    assert evaluator.hidden_size == 384


@pytest.mark.parametrize("depth", PICKS)
def test_the_cards_picks_are_cut_and_exported(
    evaluator: RetrievalEvaluator, depth: int, tmp_path: Path
) -> None:
    cut, notes = evaluator.base.encoder.cut(PICKS[depth])
    parameters = sum(weight.numel() for weight in cut.parameters())
    assert parameters == EMBEDDINGS + depth * LAYER + OUTER_NORMS - FIRST_NORM
    assert notes == ()

    folder = evaluator.export(PICKS[depth], tmp_path / f"mmBERT-small-L{depth}H384-pruned", "")
    reloaded = AutoModel.from_pretrained(folder).eval()

    ids = torch.randint(5, 256_000, (2, 300), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 170:] = 0
    with torch.inference_mode():
        expected = cut(ids, attention_mask=mask).last_hidden_state
        found = reloaded(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)

    retriever = SentenceTransformer(str(folder), device="cpu")
    assert retriever.encode(["red boat"]).shape == (1, 384)
