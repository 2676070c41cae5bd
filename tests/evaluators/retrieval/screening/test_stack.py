"""The shared stack: any position may use any layer's weights, and gradients reach them."""

from sentence_transformers.base.modules import Transformer
from torch import nn

from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import SharedStack


def test_weights_without_a_place_are_dropped_and_gradients_flow(
    screener: RetrievalEvaluator,
) -> None:
    """Layer 5 at position 0 loses its norm; its other weights learn."""
    model = screener.base.whole()
    stack = SharedStack.take_over(model, screener.base.encoder)
    stack.step = stack.step_through((5, 6))

    features = model.preprocess(["a lamp"], task="query")
    model(features)["sentence_embedding"].sum().backward()

    assert isinstance(model[0], Transformer)
    layers = model[0].model.get_submodule(screener.base.encoder.stack)
    assert isinstance(layers, nn.ModuleList)
    touched = {
        source
        for source, layer in enumerate(layers)
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    }
    assert touched == {5, 6}
    assert layers[5].get_parameter("attn_norm.weight").grad is None
