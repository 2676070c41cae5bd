"""The command that ships: export."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.arguments import DEFAULT_STORE, Folder, Store, opened
from search.cli.output import console, errors

EXAMPLES = {"export": "Example: layer-search export minilm --depth 3 models/"}


def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write the model into.")
    ],
    *,
    depth: Annotated[int, typer.Option(min=1, help="Number of layers kept.")],
    subset: Annotated[
        str | None, typer.Option(help="This subset; the study's answer when left out.")
    ] = None,
    folder: Folder = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write the answer of a depth as a model that stock libraries load.

    It is the subset that `layer-search answer` names. The weights are the base's own, cut and
    not fine-tuned. The folder is named BASE-L7H384-pruned.
    """
    import evaluators
    from search import answers, modelcard, subsets
    from search import job as jobs
    from search.errors import InputError
    from search.studyfile import StudyFile
    from storage import leaderboard, studies

    with opened(store) as engine:
        record = studies.find(engine, study)
        ranking = leaderboard.ranking(engine, study, depth)
        tasks = leaderboard.by_task(engine, study, depth)
        best = [] if subset else answers.of_study(engine, record, [depth])
    if not subset and not best:
        message = f"study {study!r} has no complete trial of depth {depth}: name one with --subset"
        raise InputError(message)
    kept = subsets.parse(subset or best[0].subset)
    if len(kept) != depth:
        message = f"--subset {subset} keeps {len(kept)} layers, not --depth {depth}"
        raise InputError(message)
    file = StudyFile.recorded(record.file)
    with errors.status(f"loading the base of {study}"):
        evaluator = file.evaluator_for(folder or Path(record.folder), "cpu", base_only=True)
    jobs.check_subset(evaluator.description, kept)
    if not isinstance(evaluator, evaluators.Exporter):
        message = (
            f"study {study!r} uses the evaluator {file.evaluator['name']!r}, which has no model"
        )
        raise InputError(message)
    found = evaluator.description.fingerprints
    studies.require_same_data(record, {**record.fingerprints, **found}, record.versions)
    name = f"{record.base}-L{depth}H{evaluator.hidden_size}-pruned"
    card = modelcard.write(name, record, file, kept, ranking, tasks)
    written = evaluator.export(kept, directory / name, card)
    console.print(f"wrote {subsets.key(kept)} to {written}", highlight=False, soft_wrap=True)


COMMANDS = (export,)
