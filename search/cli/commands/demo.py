"""The command that shows it all on a bare machine: quickstart."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from evaluators import _toy
from search.cli.commands.models import export
from search.cli.commands.run import launch
from search.cli.output import errors, say

EXAMPLES = {"quickstart": "Example: layer-search quickstart my-first-search"}

STUDY = """\
# A small search over a toy base: which 4, and which 7, of 22 layers to keep.

[study]
name = "quickstart"
depths = [4, 7]
trials = 8
first = ["0_1_2_18", "0_1_2_3_4_5_18", "back", "spread"]

[space]
cadence = "strict"

[base]
model = "base"
query_length = 32
document_length = 48

[sampler]
name = "gp"
startup = 6

[evaluator]
name = "retrieval"
steps = 40
batch_size = 64
learning_rate = 5e-4

[evaluator.train]
data = "train.jsonl"
negatives = ["negative"]

[evaluator.test]
data = "test"
"""
_MORE = """\

Ask more in SQL, with any client of SQLite:

  sqlite3 {store} "SELECT depth, rank, subset, round(mean, 4) FROM leaderboard WHERE rank <= 3"
  sqlite3 {store} "SELECT task, score FROM leaderboard_by_task WHERE depth = 4 AND rank = 1"

Go on: edit {folder}/study.toml, give it a new name, and

  layer-search launch {folder}/study.toml --store sqlite:///{store}

Everything lies in {folder}; delete the folder when you are done."""


def quickstart(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to keep everything in.")
    ] = Path("layer-search-quickstart"),
) -> None:
    """Search a toy base end to end: no data, no hub, a few minutes on two cores.

    Makes a 22-layer encoder and a small retrieval world, searches depths 4 and 7, prints the
    leaderboards and exports the answers. Run it again to go on where it stopped.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # so small a model only waits for more threads
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(console=errors) as bars:
        training = bars.add_task("making a toy base and its world", total=None)
        _toy.prepare(
            folder,
            lambda _, done, total: bars.update(training, completed=done, total=total),
        )

    study = folder / "study.toml"
    if not study.exists():
        study.write_text(STUDY, encoding="utf-8")
    database = folder / "layer-search.db"
    store = f"sqlite:///{database}"
    launch(study, store=store)

    models = folder / "models"
    for depth in (4, 7):
        if not any(models.glob(f"*-L{depth}H*")):
            export("quickstart", models, depth=depth, store=store)

    for line in _MORE.format(folder=folder, store=database).split("\n"):
        say(line)
