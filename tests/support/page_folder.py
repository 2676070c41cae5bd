"""A folder in which the commands of a page run: small stand-ins for whatever a reader brings.

The examples and the study files of the pages are taken as they stand, but for their length: one
step of fine-tuning, few trials, data of a few lines, and local paths in the place of the hub.
"""

import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from evaluators._toy import world
from evaluators._toy.words import vocabulary
from tests.support.commands import run_command
from tests.support.documents import ROOT

PAIRS = 64
QUERIES, DOCUMENTS = 5, 12
STORE = "layer-search.db"

_TASKS = ("MyTask", "NanoFiQA2018", "NanoMSMARCO", "NanoNQ", "NanoSciFact")
_LOCAL = {
    'model = "sentence-transformers/all-MiniLM-L6-v2"': 'model = "../all-MiniLM-L6-v2"',
    'data = "sentence-transformers/natural-questions"': 'data = "../pairs.jsonl"',
    'split = "train[:20000]"': 'split = "train"',
    'data = "sentence-transformers/NanoBEIR-en"': 'data = "../test"',
}
_SHORT = {
    r"^trials = .*": "trials = 2",
    r"^steps = \d+": "steps = 1",
    r"^batch_size = \d+": "batch_size = 4",
}


def prepare_folder(folder: Path) -> None:
    """Write examples, data and a base into an empty folder."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    study = folder / "examples" / "minilm.toml"
    text = study.read_text(encoding="utf-8")
    for there, here in _LOCAL.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    text = shorten(text).replace("trials = 2", "trials = { 2 = 1, 3 = 3, 4 = 1 }")
    study.write_text(f"{text}\n[screen]\nsteps = 1\n", encoding="utf-8")

    (folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "minilm.csv", folder / "benchmarks")
    _write_base(folder / "all-MiniLM-L6-v2")

    with tempfile.TemporaryDirectory() as toy:
        world.write(Path(toy))
        _write_pairs(folder, Path(toy))
        _write_collections(folder / "test", Path(toy) / "test")


def prepare_store(folder: Path) -> None:
    """Fill the store of a prepared folder with the studies `card` and `minilm`, screen included."""
    for words in (
        ("launch", "examples/card.toml"),
        ("screen", "examples/minilm.toml"),
        ("launch", "examples/minilm.toml"),
    ):
        done = run_command(*words, cwd=folder, LAYER_SEARCH_STORE=f"sqlite:///{STORE}")
        assert done.returncode == 0, done.stderr


def shorten_command(words: list[str]) -> list[str]:
    """Return the words of a command with a budget of three trials, if they name one."""
    given = ["", *words]
    return [
        "3" if before == "--trials" else word for before, word in zip(given, words, strict=False)
    ]


def shorten(study: str) -> str:
    """Return the text of a study file with next to nothing to do."""
    for pattern, short in _SHORT.items():
        study = re.sub(pattern, short, study, flags=re.MULTILINE)
    return study


def _write_base(folder: Path) -> None:
    """Write an untrained base of the layers and the width of all-MiniLM-L6-v2, and few words."""
    import torch
    from transformers import BertConfig, BertModel

    from evaluators._toy.base import make_tokenizer

    words = vocabulary()
    tokenizer = make_tokenizer(words)
    tokenizer.save_pretrained(folder)

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        intermediate_size=64,
        num_hidden_layers=6,
        num_attention_heads=6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)


def _write_pairs(folder: Path, toy: Path) -> None:
    """Write training pairs under the names of columns that the pages use."""
    with (toy / "train.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in itertools.islice(file, PAIRS)]
    for row in rows:
        row |= {"query": row["anchor"], "answer": row["positive"]}
    _write_lines(folder / "pairs.jsonl", rows)


def _write_collections(folder: Path, toy: Path) -> None:
    """Write the same small collection under several names, in NanoBEIR layout."""
    source = min((toy / "queries").glob("*.jsonl")).stem
    judged = list(itertools.islice(_rows(toy / "qrels" / f"{source}.jsonl"), QUERIES))
    asked = {row["query-id"] for row in judged}
    queries = [row for row in _rows(toy / "queries" / f"{source}.jsonl") if row["_id"] in asked]

    answers = {row["corpus-id"] for row in judged}
    corpus = sorted(
        _rows(toy / "corpus" / f"{source}.jsonl"), key=lambda row: row["_id"] not in answers
    )
    parts = {"corpus": corpus[:DOCUMENTS], "queries": queries, "qrels": judged}

    lines = ["---", "configs:"]
    for name, rows in parts.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for task in _TASKS:
            lines.append(f"  - {{split: {task}, path: {name}/{task}.jsonl}}")
            _write_lines(folder / name / f"{task}.jsonl", rows)
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a JSON Lines file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
