"""How much faster a screen is than scoring each subset alone on the same texts.

    python benchmarks/screen.py --alone 60

A 22-layer ModernBERT of random weights and the toy world of the quickstart: speed does not depend
on what the weights have learned. The screen walks all strict subsets of all depths; a random sample
of them is scored alone (cut, encode, rank) and scaled to all.
"""

import argparse
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from transformers import ModernBertConfig, ModernBertModel

import evaluators
from evaluators._toy import base as toy
from evaluators._toy import words, world
from evaluators.retrieval import Options, screen
from evaluators.retrieval.evaluator import RetrievalEvaluator
from search.errors import InputError
from search.prefixtree import PrefixTree
from search.space import LayerSpace

CONSOLE = Console(width=100)
LAYERS = 22


def make(folder: Path, width: int) -> RetrievalEvaluator:
    """The evaluator over a base of random weights."""
    world.write(folder)
    vocabulary = words.vocabulary()
    toy._tokenizer(vocabulary).save_pretrained(folder / "base")  # noqa: SLF001 - the toy's own
    config = ModernBertConfig(
        vocab_size=len(vocabulary) + 5, hidden_size=width, intermediate_size=3 * width,
        num_hidden_layers=LAYERS, num_attention_heads=width // 64, pad_token_id=0, cls_token_id=2,
        bos_token_id=2, sep_token_id=3, eos_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    ModernBertModel(config).save_pretrained(folder / "base")
    base = evaluators.BaseOptions(model="base", query_length=32, document_length=48)
    options = Options.model_validate({"steps": 0, "test": {"data": "test"}})
    made = evaluators.load("retrieval").create(options, evaluators.Context(base, folder, "cpu"))
    if not isinstance(made, RetrievalEvaluator):
        raise TypeError(type(made).__name__)
    return made


def spaces() -> tuple[LayerSpace, ...]:
    """The strict spaces of all depths that there are."""
    found = []
    for depth in range(1, LAYERS + 1):
        try:
            found.append(LayerSpace(LAYERS, depth))
        except InputError:
            continue  # the rhythm leaves no subset of this depth
    return tuple(found)


def main() -> None:
    """Measure both, in turns of one process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--width", type=int, default=128, help="hidden size of the base")
    parser.add_argument("--queries", type=int, default=8, help="of each task")
    parser.add_argument("--documents", type=int, default=24, help="of each task")
    parser.add_argument("--alone", type=int, default=60, help="subsets scored alone")
    options = parser.parse_args()
    tree = PrefixTree(spaces())
    runs = sum(space.depth * space.count for space in tree.spaces)
    with tempfile.TemporaryDirectory() as name:
        evaluator = make(Path(name), options.width)
        wanted = evaluators.ScreenOptions(queries=options.queries, documents=options.documents)
        part = tuple(screen.sample(evaluator.collections, wanted))
        evaluator = replace(evaluator, collections=part)
        rng = random.Random(0)
        weights = [space.count for space in tree.spaces]
        chosen = rng.choices(tree.spaces, weights, k=options.alone)
        seconds = []
        for space in track(chosen, "alone", console=CONSOLE, transient=True):
            start = time.perf_counter()
            evaluator.evaluate(space.sample(rng), 0)
            seconds.append(time.perf_counter() - start)
        alone = statistics.mean(seconds) * tree.count
        start = time.perf_counter()
        walk = track(evaluator.screen(tree, wanted), "screen", tree.count, console=CONSOLE)
        number = sum(1 for _ in walk)
        together = time.perf_counter() - start
    texts = sum(len(task.queries) + len(task.corpus) for task in part)
    error = statistics.stdev(seconds) / len(seconds) ** 0.5 * tree.count
    CONSOLE.print(f"texts: {texts}; width of the base: {options.width}")
    CONSOLE.print(f"layers run by the screen: {tree.edges}; one by one: {runs}")
    CONSOLE.print(f"screen of all {number} subsets: {together:.0f} s")
    CONSOLE.print(f"alone, from {len(seconds)} of them: {alone:.0f} s +/- {error:.0f} s")
    CONSOLE.print(f"ratio: {alone / together:.1f}")


if __name__ == "__main__":
    main()
