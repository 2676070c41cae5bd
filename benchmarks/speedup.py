r"""Whether the speed-ups of a study are those of a stopwatch on the exported models.

    python benchmarks/speedup.py --study minilm --store sqlite:///layer-search.db \
        --base ../models/all-MiniLM-L6-v2 --documents corpus.jsonl models/*

The stopwatch knows nothing of this project: each folder is loaded by stock sentence-transformers in
a process of its own, which encodes all documents once to warm up and is then timed whenever it is
its turn, while the others wait. Beside its ratios stand those of the view `depths`.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from storage.leaderboard import rank_depths
from storage.setup import open_store

CONSOLE = Console(width=100)

STOPWATCH = """
import json, sys, time
from sentence_transformers import SentenceTransformer

folder, documents, length, batch = json.loads(sys.stdin.readline())
model = SentenceTransformer(folder, device="cpu", local_files_only=True)
model.max_seq_length = length
model[0].document_length = length

for _ in sys.stdin:
    start = time.perf_counter()
    model.encode_document(documents, batch_size=batch, show_progress_bar=False)
    print(time.perf_counter() - start, flush=True)
"""
"""Loads a model as the first line of its input says, and times it once for every other line."""


class Stopwatch:
    """A process that times one model, and waits for its turn.

    Args:
        folder: folder of the model.
        documents: texts to encode.
        length: longest text, in tokens.
        batch_size: texts encoded at once.
    """

    def __init__(self, folder: Path, documents: list[str], length: int, batch_size: int) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, "-c", STOPWATCH], stdin=pipe, stdout=pipe, text=True
        )
        self._write(json.dumps([str(folder.resolve()), documents, length, batch_size]))
        self.time()  # loads the model, and warms it up

    def time(self) -> float:
        """Return the seconds that the model takes to encode all documents."""
        self._write("go")
        if self._process.stdout is None:
            raise TypeError
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _write(self, line: str) -> None:
        """Hand the process a line."""
        if self._process.stdin is None:
            raise TypeError
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def main() -> None:
    """Time the base and each export in turn, and print both ratios side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("exports", nargs="+", type=Path, help="folders that `export` wrote")
    parser.add_argument("--base", type=Path, required=True, help="folder of the whole base")
    parser.add_argument("--documents", type=Path, required=True, help="JSON lines with a `text`")
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--store", default="sqlite:///layer-search.db", help="URL of the store")
    parser.add_argument("--number", type=int, default=256, help="documents to encode")
    parser.add_argument("--batch-size", type=int, default=64, help="documents encoded at once")
    parser.add_argument("--turns", type=int, default=7, help="turns that every model gets")
    options = parser.parse_args()

    lines = options.documents.read_text(encoding="utf-8").splitlines()[: options.number]
    documents = [json.loads(line)["text"] for line in lines]
    known = stored_speedups(options.store, options.study)

    length = document_length(options.exports[0])
    folders = [options.base, *options.exports]
    watches = {
        folder: Stopwatch(folder, documents, length, options.batch_size) for folder in folders
    }
    taken: dict[Path, list[float]] = {folder: [] for folder in folders}
    for _ in track(range(options.turns), description="timing", console=CONSOLE):
        for folder, watch in watches.items():
            taken[folder].append(watch.time())
    for watch in watches.values():
        watch.close()

    table = Table("model", "layers", "seconds", "stopwatch", "lowest", "highest", "study")
    for folder in folders:
        ratios = [a / b for a, b in zip(taken[options.base], taken[folder], strict=True)]
        layers = count_layers(folder)
        shown = [statistics.median(ratios), min(ratios), max(ratios)]
        cells = [f"{value:.2f}" for value in (statistics.median(taken[folder]), *shown)]
        found = known.get(layers)
        study = "" if found is None else f"{found:.2f}"
        table.add_row(folder.name, str(layers), *cells, study)
    CONSOLE.print(table)


def stored_speedups(store: str, study: str) -> dict[int, float | None]:
    """Return the measured speed-up of each depth of a study."""
    engine = open_store(store)
    try:
        return {row["depth"]: row["speedup"] for row in rank_depths(engine, study)}
    finally:
        engine.dispose()


def count_layers(folder: Path) -> int:
    """Return the number of layers that a model's configuration states."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config["num_hidden_layers"])


def document_length(export: Path) -> int:
    """Return the longest document of an export, in tokens, as its settings state it."""
    settings = json.loads((export / "sentence_bert_config.json").read_text(encoding="utf-8"))
    return int(settings["document_length"])


if __name__ == "__main__":
    main()
