"""How good the answer is after so many trials, by sampler: simple regret on known landscapes.

    python benchmarks/regret.py --seeds 24 --processes 2 --curves regret.svg

Every sampler searches the same landscapes (`_landscapes`): the roughness changes with the seed, and
a trial has noise of 0.004 on a scale of 0.33 to 0.47. Regret is the true score of the best subset
less that of the sampler's answer; ours is the posterior's, that of the others their best trial.
"""

import argparse
import csv
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from _curves import AT, Curve, draw, show
from _landscapes import ROUGHNESS, Effects, Landscape
from _rivals import AUTO, NAMES, OPTUNA, Automatic, Ours, Rival, make
from rich.progress import track

from search import screening
from search.cli.screen import print_fits
from search.samplers import Observation
from search.samplers.gp import GPSampler
from search.space import LayerSpace
from search.subsets import Subset, parse

LAYERS = 22
RIVALS = (*NAMES, *OPTUNA, "swap evolution")
TABLE = Path(__file__).with_name("minilm.csv")
SCREEN = Path(__file__).with_name("minilm_screen.csv")
Task = tuple[str, dict[str, Any]]


def space(depth: int, cadence: str) -> LayerSpace:
    """The space of a base of 22 layers."""
    return LayerSpace(LAYERS, depth, 3, cadence)


def run(rival: Rival, landscape: Landscape, trials: int, workers: int, seed: int) -> Curve:
    """Regret of the answer after each number of finished trials in `AT`."""
    chance = random.Random(seed)
    running: list[tuple[int, float]] = []
    found: Curve = {}
    begun = 0
    for done in range(1, trials + 1):
        while begun < trials and len(running) < workers:
            ticket, subset = rival.ask()
            running.append((ticket, landscape.trial(subset, rival.seed(ticket))))
            begun += 1
        rival.tell(*running.pop(chance.randrange(len(running))))
        if done in AT:
            found[done] = landscape.regret(rival.answer())
    return found


def search(
    seed: int, depth: int, cadence: str, workers: int, names: Sequence[str]
) -> dict[str, Curve]:
    """All samplers on one landscape."""
    there = space(depth, cadence)
    landscape = Landscape.drawn(there, seed, roughness=ROUGHNESS[seed % len(ROUGHNESS)])
    return {name: run(make(name, there, seed), landscape, 100, workers, seed) for name in names}


def transfer(seed: int) -> dict[str, Curve]:
    """Depth 7 alone, and after 60 trials of depth 4 of a kindred and of a strange landscape."""
    roughness = ROUGHNESS[seed % len(ROUGHNESS)]
    shallow, deep = space(4, "free"), space(7, "free")
    landscape = Landscape.drawn(deep, seed, roughness=roughness)

    def others(effects: Effects) -> list[Observation]:
        there = Landscape.drawn(shallow, seed + 1000, roughness=roughness, effects=effects)
        first = Ours("gp", shallow, seed)
        run(first, there, 60, 1, seed)
        return first.history

    known: dict[str, list[Observation]] = {
        "alone": [],
        "kindred depth 4": others(Effects.drawn(LAYERS, seed)),
        "strange depth 4": others(Effects.drawn(LAYERS, seed + 500)),
    }
    found: dict[str, Rival] = {}
    for name, history in known.items():
        found[name] = Ours("gp", deep, seed, history, transfer=True)
        found[f"{name}, auto replicates"] = Automatic(deep, seed, 60, history, transfer=True)
    return {name: run(rival, landscape, 60, 1, seed) for name, rival in found.items()}


def replicates(seed: int, depth: int, cadence: str) -> dict[str, Curve]:
    """The same budget with and without automatic replicates, on a noisy landscape."""
    there = space(depth, cadence)
    landscape = Landscape.drawn(
        there, seed, roughness=ROUGHNESS[seed % len(ROUGHNESS)], noise=0.008
    )
    return {
        name: run(make(kind, there, seed), landscape, 100, 1, seed)
        for name, kind in (("one seed", "gp"), ("auto", AUTO))
    }


def recorded(seed: int, depth: int, names: Sequence[str]) -> dict[str, Curve]:
    """The real table: trials until the best subset has been tried, by sampler."""
    there = LayerSpace(6, depth, None, "free", keep_first=False)
    landscape = Landscape.recorded(TABLE, there, seed=seed)
    found = {}
    screened = screen_scores(depth)
    rivals = {name: make(name, there, seed) for name in names}
    for kind, measures in screened.items():
        hints = [screening.hint(table) for table in measures.values()]
        rivals[f"gp, screen {kind}"] = Ours("gp", there, seed, hints=hints)
    for name, rival in rivals.items():
        for number in itertools.count(1):
            ticket, subset = rival.ask()
            rival.tell(ticket, landscape.trial(subset, number))
            if landscape.regret(subset) == 0 or number == 100:  # noqa: PLR2004
                found[name] = {0: float(number)}
                break
    return found


def screen_scores(depth: int) -> dict[str, dict[str, dict[Subset, float]]]:
    """Recorded screen of all-MiniLM-L6-v2: by weights, measure and subset."""
    found: dict[str, dict[str, dict[Subset, float]]] = {}
    with SCREEN.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["depth"]) == depth:
                kind = found.setdefault(row["weights"], {})
                for measure in screening.MEASURES:
                    kind.setdefault(measure, {})[parse(row["subset"])] = float(row[measure])
    return found


def show_fits() -> None:
    """Print how well the recorded screens predict the recorded trials."""
    fits = []
    for depth in (2, 3, 4):
        there = LayerSpace(6, depth, None, "free", keep_first=False)
        means = Landscape.recorded(TABLE, there).scores
        trials = np.array([means[subset] for subset in there])
        for kind, measures in screen_scores(depth).items():
            for measure, table in measures.items():
                guessed = np.array([table[subset] for subset in there])
                fits.append(screening.fit(depth, kind, measure, guessed, trials))
    print_fits(fits)


def proposals(seed: int) -> dict[str, Curve]:
    """Seconds of a proposal after 100 and 1,000 trials, once the space is known."""
    there = space(7, "free")
    landscape = Landscape.drawn(there, seed, roughness=ROUGHNESS[1])
    ranks = random.Random(seed).sample(range(there.count), 1000)
    drawn = [there.unrank(rank) for rank in ranks]
    history = [Observation(subset, "complete", landscape.trial(subset)) for subset in drawn]
    sampler = GPSampler(there, seed=seed)
    found = {}
    for number in (100, 100, 1000):  # the first also encodes the space, once per process
        start = time.perf_counter()
        sampler.next_subset(history[:number])
        found[number] = time.perf_counter() - start
    return {"gp, seconds of a proposal": found}


PARTS: dict[str, Callable[..., dict[str, Curve]]] = {
    "search": search, "transfer": transfer, "replicates": replicates, "table": recorded,
    "proposals": proposals,
}  # fmt: skip


def tasks(options: argparse.Namespace) -> dict[str, list[Task]]:
    """What to run, by title: a part, and its arguments for each seed."""
    rivals = tuple(options.samplers)
    found: dict[str, list[Task]] = {}
    seeds = range(options.seeds)
    many = range(max(40, options.seeds))  # what is compared differs by less than its noise
    if "search" in options.part:
        for depth, cadence, workers in itertools.product(
            options.depths, options.cadences, options.workers
        ):
            if workers > 1 and (depth, cadence) != (7, "free"):
                continue  # one space shows what parallel workers cost
            title = f"depth {depth}, {cadence}, workers: {workers}"
            given = {"depth": depth, "cadence": cadence, "workers": workers, "names": rivals}
            found[title] = [("search", {"seed": seed, **given}) for seed in seeds]
    if "transfer" in options.part:
        found["depth 7, free: transfer"] = [("transfer", {"seed": seed}) for seed in many]
    if "replicates" in options.part:
        for depth, cadence in ((4, "free"), (7, "strict")):
            found[f"depth {depth}, {cadence}, noise 0.008: replicates"] = [
                ("replicates", {"seed": seed, "depth": depth, "cadence": cadence}) for seed in many
            ]
    if "table" in options.part:
        for depth in (2, 3, 4):
            title = f"all-MiniLM-L6-v2, depth {depth}: trials until the best was tried"
            given = {"depth": depth, "names": rivals}
            found[title] = [("table", {"seed": seed, **given}) for seed in seeds]
    if "proposals" in options.part:
        found["depth 7, free: time of a proposal"] = [("proposals", {"seed": s}) for s in range(3)]
    return found


def call(task: Task) -> dict[str, Curve]:
    """Run one task, in a process of its own."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    part, given = task
    return PARTS[part](**given)


def spread(work: Iterable[Task], processes: int, title: str) -> list[dict[str, Curve]]:
    """Run the tasks side by side."""
    listed = list(work)
    with ProcessPoolExecutor(processes) as pool:
        return list(track(pool.map(call, listed), title, total=len(listed), transient=True))


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--depths", nargs="+", type=int, default=[4, 7, 13])
    parser.add_argument("--cadences", nargs="+", default=["free", "strict"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--samplers", nargs="+", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--curves", type=Path, help="SVG or PNG to draw")
    parser.add_argument("--json", type=Path, help="file for all values")
    options = parser.parse_args()
    found = {}
    for title, work in tasks(options).items():
        found[title] = show(title, spread(work, options.processes, title))
        if options.curves:
            draw(found, options.curves)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if "table" in options.part:
        show_fits()


if __name__ == "__main__":
    main()
