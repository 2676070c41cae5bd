"""The command that scores subsets chosen by hand: evaluate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

import evaluators
from search.cli.options import DEFAULT_STORE, Device, Store, StudyPath
from search.cli.output import remark, say
from search.cli.progress import WorkerProgress, interruptible, load_evaluator
from search.cli.store import connected
from search.cli.tables import format_error, print_ranking
from search.errors import InputError, SearchError
from search.space import Subset, format_subset, parse_subset
from search.space.families import FAMILIES, build_family
from search.study.file import StudyFile, read_study_file
from search.study.plan import build_space, require_layers
from search.study.reconciliation import find_reconciled
from search.worker.loop import claim_single, run_trial
from search.worker.session import Session, begin_manual
from storage.errors import InputError as StoreInputError
from storage.leaderboard import rank_subsets
from storage.values.bounds import LARGEST_SEED, MOST_LAYERS

EXAMPLES = {
    "evaluate": "Example: layer-search evaluate examples/mmbert-small.toml 0_1_2_18 front back",
}

_Depths = Annotated[
    list[int] | None,
    typer.Option(
        min=1,
        max=MOST_LAYERS,
        help="Depth of the families; repeatable. The study's when left out.",
    ),
]
_Seed = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed; the study's when left out.")
]


def evaluate(
    study: StudyPath,
    subsets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUBSET]...", help="Subsets such as 0_1_2_18, or families such as front."
        ),
    ] = None,
    *,
    subset: Annotated[
        list[str] | None, typer.Option(help="The same as an option; repeatable.")
    ] = None,
    depth: _Depths = None,
    seed: _Seed = None,
    store: Store = DEFAULT_STORE,
    device: Device = None,
) -> None:
    """Evaluate subsets of your choice and record them in the study, outside its budget.

    The base is loaded once for all of them. One that was evaluated before is shown as it is, and
    one that fails does not stop the next: the exit code is 1 then.
    """
    words = [*(subsets or ()), *(subset or ())]
    _require_readable(words, depth)
    file = read_study_file(study)
    folder = study.resolve().parent

    with connected(store, works=True) as engine:
        file = find_reconciled(engine, file)
        evaluator = load_evaluator(file, folder, device)
        chosen = _choose(words, file, evaluator.description, depth or file.study.depths)
        session = _begin(engine, file, folder, evaluator, chosen)
        try:
            failed = _run_all(session, chosen, file.study.seed if seed is None else seed)
        finally:
            session.mirror.close()
        rows = rank_subsets(engine, file.study.name)

    keys = {format_subset(kept) for kept in chosen}
    print_ranking([row for row in rows if row["subset"] in keys])
    _require_all(failed, len(chosen))


def _begin(
    engine: Engine,
    file: StudyFile,
    folder: Path,
    evaluator: evaluators.Evaluator,
    chosen: Sequence[Subset],
) -> Session:
    """Create or join the study, and say which of its keys change."""
    depths = sorted({len(kept) for kept in chosen})
    for depth in depths:
        if depth not in file.study.depths:
            remark(f"depth {depth} is not among the study's: recorded beside them")

    session = begin_manual(engine, file, folder, evaluator, depths)
    for change in session.changes:
        remark(change)
    return session


def _require_readable(words: Sequence[str], depths: Sequence[int] | None) -> None:
    """Refuse words that are neither subsets nor families, before anything is loaded.

    Raises:
        InputError: one is neither, there is none, or a depth is given without a family.
    """
    if not words:
        families = ", ".join(FAMILIES)
        message = f"name at least one subset, such as 0_1_2_18, or family: {families}"
        raise InputError(message)

    for word in words:
        if word not in FAMILIES:
            try:
                parse_subset(word)
            except StoreInputError as error:
                message = f"{error}, or a family: {', '.join(FAMILIES)}"
                raise InputError(message) from error

    if depths and not any(word in FAMILIES for word in words):
        message = "--depth is the depth of families, and none is named: leave it out"
        raise InputError(message)


def _choose(
    words: Sequence[str], file: StudyFile, base: evaluators.Description, depths: Sequence[int]
) -> list[Subset]:
    """Return the subsets that words stand for, each once, in their order.

    Raises:
        InputError: a subset has a layer that the base has not, a depth is impossible, or no word
            stands for any subset.
    """
    chosen: dict[Subset, None] = {}
    for word in words:
        if word not in FAMILIES:
            kept = parse_subset(word)
            require_layers(base, kept)
            chosen[kept] = None
            continue
        for depth in depths:
            picks = build_family(word, build_space(file, depth, base))
            chosen |= dict.fromkeys(picks.subsets)
            if picks.missing:
                remark(f"depth {depth} has no {word}: {picks.missing}")

    if not chosen:
        message = f"the rules of [space] allow none of {', '.join(words)}: name a subset"
        raise InputError(message)
    return list(chosen)


def _run_all(session: Session, chosen: Sequence[Subset], seed: int) -> dict[str, str]:
    """Run a trial of each subset that has none with this seed, with a progress bar.

    Returns:
        For each subset that has no score the reason, by its key.
    """
    name, several = session.study.name, len(chosen) > 1
    failed: dict[str, str] = {}

    with (
        interruptible(f"the claimed trial of {name} was given back: the next worker takes it"),
        WorkerProgress({}, {}, study=name, failures=several) as report,
    ):
        for number, kept in enumerate(chosen, 1):
            key = format_subset(kept)
            if several:
                remark(f"{number} of {len(chosen)}: {key}")

            try:
                reason = _run_one(session, kept, seed, report)
            except SearchError as error:
                reason = str(error)
                if several:
                    remark(reason)
            if reason:
                failed[key] = reason

    return failed


def _run_one(session: Session, kept: Subset, seed: int, report: WorkerProgress) -> str | None:
    """Run one trial unless it is complete, and return the reason when it has no score.

    Raises:
        SearchError: another worker is running it, or it broke in an unforeseen way.
    """
    claim = claim_single(session, kept, seed)
    if claim is None:
        say(f"{format_subset(kept)} was evaluated before")
        return None

    result = run_trial(session, claim, report)
    if result.mean is not None:
        return None
    reason = format_error(result.error, set_aside=result.set_aside)
    return f"{claim.key} has no score: {reason}"


def _require_all(failed: Mapping[str, str], number: int) -> None:
    """Fail if a subset has no score.

    Raises:
        SearchError: one has none; the message says why, or names them.
    """
    if failed and number == 1:
        raise SearchError(*failed.values())
    if failed:
        message = f"no score for {len(failed)} of {number} subsets: {', '.join(failed)}"
        raise SearchError(message)
