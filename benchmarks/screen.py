"""How much faster a screen is than scoring each subset alone, and what its fair order costs.

    python benchmarks/screen.py --alone 60
    python benchmarks/screen.py --part order

A 22-layer ModernBERT of random weights and the toy world of the quickstart: speed does not depend
on what the weights have learned. The screen walks all strict subsets of all depths; a random sample
of them is scored alone (cut, encode, rank) and scaled to all. The part `order` runs no model: it
counts the layers that a screen of some spaces runs, against one in the order of the layers.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from transformers import ModernBertConfig, ModernBertModel

from evaluators import BaseOptions, Context, ScreenOptions
from evaluators._toy import words, world
from evaluators._toy.base import make_tokenizer
from evaluators.retrieval import EvaluationOptions, Options
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.screening import sample_collections
from search.errors import InputError
from search.space import LayerSpace
from search.space.prefix_tree import PrefixTree

CONSOLE = Console(width=100)
LAYERS = 22

_SPECIAL_TOKENS = 5


def main() -> None:
    """Measure one part in this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=("speed", "order"), default="speed")
    parser.add_argument("--width", type=int, default=128, help="hidden size of the base")
    parser.add_argument("--queries", type=int, default=8, help="of each task")
    parser.add_argument("--documents", type=int, default=24, help="of each task")
    parser.add_argument("--alone", type=int, default=60, help="subsets scored alone")
    options = parser.parse_args()

    if options.part == "order":
        print_orders()
    else:
        print_speed(options)


def print_orders() -> None:
    """Print the layers that screens of some spaces run, in the order of the layers and fairly."""
    trees = {
        "22 layers, strict, all depths": PrefixTree(strict_spaces()),
        "22 layers, strict, depth 4": PrefixTree((LayerSpace(LAYERS, 4),)),
        "22 layers, strict, depths 4, 7, 13": PrefixTree(spaces_of(LAYERS, (4, 7, 13), "strict")),
        "22 layers, anchored, depths 4, 7, 13": PrefixTree(
            spaces_of(LAYERS, (4, 7, 13), "anchored")
        ),
        "22 layers, free, depth 7": PrefixTree(spaces_of(LAYERS, (7,), "free")),
        "12 layers, free, depths 3, 6": PrefixTree(spaces_of(12, (3, 6), "free")),
        "6 layers, free, depths 2, 3, 4": PrefixTree(spaces_of(6, (2, 3, 4), "free")),
    }
    for name, tree in trees.items():
        run, path = 0, tuple[int, ...]()
        for subset in tree.order():
            pairs = zip(path, subset, strict=False)
            run += len(subset) - sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            path = subset
        CONSOLE.print(
            f"{name}: subsets {tree.count}, layers in their order {tree.edges}, "
            f"fairly {run}, ratio {run / tree.edges:.2f}"
        )


def spaces_of(layers: int, depths: Sequence[int], cadence: str) -> tuple[LayerSpace, ...]:
    """Return the space of each depth, with layer 0 kept where there is a rhythm."""
    keep_first = layers == LAYERS
    return tuple(LayerSpace(layers, depth, 3, cadence, keep_first) for depth in depths)


def print_speed(options: argparse.Namespace) -> None:
    """Time a screen of all strict subsets, and some of them alone."""
    tree = PrefixTree(strict_spaces())
    wanted = ScreenOptions(queries=options.queries, documents=options.documents)
    with tempfile.TemporaryDirectory() as folder:
        evaluator = make_evaluator(Path(folder), options.width)
        part = tuple(sample_collections(evaluator.collections, wanted))
        evaluator = replace(evaluator, collections=part)

        seconds = time_alone(evaluator, tree.spaces, options.alone)
        number, together = time_screen(evaluator, tree, wanted)

    texts = sum(len(task.queries) + len(task.corpus) for task in part)
    one_by_one = sum(space.depth * space.count for space in tree.spaces)
    alone = statistics.mean(seconds) * tree.count
    error = statistics.stdev(seconds) / len(seconds) ** 0.5 * tree.count
    CONSOLE.print(f"texts: {texts}; width of the base: {options.width}")
    CONSOLE.print(f"layers of the tree: {tree.edges}; one by one: {one_by_one}")
    CONSOLE.print(f"screen of all {number} subsets: {together:.0f} s")
    CONSOLE.print(f"alone, from {len(seconds)} of them: {alone:.0f} s +/- {error:.0f} s")
    CONSOLE.print(f"ratio: {alone / together:.1f}")


def make_evaluator(folder: Path, width: int) -> RetrievalEvaluator:
    """Write a base of random weights and the toy world, and return an evaluator over them.

    Args:
        folder: takes base and data.
        width: hidden size of the base.
    """
    world.write(folder)
    vocabulary = words.vocabulary()
    make_tokenizer(vocabulary).save_pretrained(folder / "base")

    config = ModernBertConfig(
        vocab_size=len(vocabulary) + _SPECIAL_TOKENS,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=LAYERS,
        num_attention_heads=width // 64,
        pad_token_id=0,
        cls_token_id=2,
        bos_token_id=2,
        sep_token_id=3,
        eos_token_id=3,
    )
    torch.manual_seed(0)
    ModernBertModel(config).save_pretrained(folder / "base")

    base = BaseOptions(model="base", query_length=32, document_length=48)
    options = Options(steps=0, test=(EvaluationOptions(data="test"),))
    return RetrievalEvaluator.load(options, base, Context(base, folder, "cpu"))


def strict_spaces() -> tuple[LayerSpace, ...]:
    """Return the strict space of each depth that has one."""
    found = []
    for depth in range(1, LAYERS + 1):
        try:
            found.append(LayerSpace(LAYERS, depth))
        except InputError:
            continue  # the rhythm leaves no subset of this depth
    return tuple(found)


def time_alone(
    evaluator: RetrievalEvaluator, spaces: Sequence[LayerSpace], number: int
) -> list[float]:
    """Return the seconds of some trials, of subsets drawn uniformly from all spaces."""
    rng = random.Random(0)
    chosen = rng.choices(spaces, [space.count for space in spaces], k=number)
    seconds = []
    for space in track(chosen, "alone", console=CONSOLE, transient=True):
        start = time.perf_counter()
        evaluator.evaluate(space.sample(rng), 0)
        seconds.append(time.perf_counter() - start)
    return seconds


def time_screen(
    evaluator: RetrievalEvaluator, tree: PrefixTree, options: ScreenOptions
) -> tuple[int, float]:
    """Return the number of screened subsets, and the seconds of the whole screen."""
    start = time.perf_counter()
    walk = track(evaluator.screen(tree, options), "screen", tree.count, console=CONSOLE)
    number = sum(1 for _ in walk)
    return number, time.perf_counter() - start


if __name__ == "__main__":
    main()
