"""The whole, untrained base here and in the library's own evaluator: the same number, by task.

    python benchmarks/whole_base.py models/multilingual-e5-small data/NanoBEIR-en
    python benchmarks/whole_base.py --bare models/multilingual-e5-small data/NanoBEIR-en

`--bare` adds the score of the same base without its prompts, to show what they are worth.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator

import evaluators
from evaluators.retrieval import Options

BARE = {"query_prompt": "", "document_prompt": ""}


def main() -> None:
    """Print a row for each task: the score here, the library's, and their difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", type=Path, help="folder of the base")
    parser.add_argument("data", type=Path, help="folder in NanoBEIR layout")
    parser.add_argument("--bare", action="store_true", help="also score it without its prompts")
    given = parser.parse_args()

    found = score(given.base, given.data, {})
    bare = score(given.base, given.data, BARE) if given.bare else None
    expected = score_by_library(given.base, given.data, list(found.tasks))

    table = Table("task", "here", "library", "difference", *(["without prompts"] * given.bare))
    for task, one in found.tasks.items():
        cells = [task, f"{one.score:.6f}", f"{expected[task]:.6f}"]
        cells.append(f"{one.score - expected[task]:+.1e}")
        table.add_row(*cells, *([f"{bare.tasks[task].score:.4f}"] if bare else []))

    mean = sum(expected.values()) / len(expected)
    cells = ["mean", f"{found.mean:.6f}", f"{mean:.6f}", f"{found.mean - mean:+.1e}"]
    table.add_row(*cells, *([f"{bare.mean:.4f}"] if bare else []))
    Console(width=100).print(table)


def score(base: Path, data: Path, changes: dict[str, str]) -> evaluators.Evaluation:
    """Return the evaluation of all layers without any training, with the base's own settings.

    Args:
        base: folder of the base.
        data: folder in NanoBEIR layout.
        changes: keys of `[base]` that override its settings.
    """
    section = evaluators.BaseOptions.model_validate({"model": str(base.resolve()), **changes})
    keys = {"steps": 0, "test": {"data": str(data.resolve())}}
    options = Options.model_validate_json(json.dumps(keys))

    evaluator = options.create(evaluators.Context(section, Path.cwd(), "cpu"))
    return evaluator.evaluate(tuple(range(evaluator.description.layers)), seed=0)


def score_by_library(base: Path, data: Path, tasks: list[str]) -> dict[str, float]:
    """Return the scores by task that sentence-transformers' own evaluator gives the folder."""
    model = SentenceTransformer(str(base), device="cpu")
    evaluator = NanoBEIREvaluator(
        [task.removeprefix("Nano").lower() for task in tasks],
        dataset_id=str(data.resolve()),
        batch_size=64,
        write_csv=False,
    )
    found = evaluator(model)
    return {task: found[f"{task}_{model.similarity_fn_name}_ndcg@10"] for task in tasks}


if __name__ == "__main__":
    main()
