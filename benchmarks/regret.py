"""How good the answer is after so many trials, by sampler: simple regret on known landscapes.

    python benchmarks/regret.py --seeds 24 --processes 2 --curves regret.svg

Every sampler searches the same landscapes (`_landscapes`): the roughness changes with the seed, and
a trial has noise of 0.004 on a scale of 0.33 to 0.47. Regret is the true score of the best subset
less that of the sampler's answer. The answer of this project's samplers is the subset with the best
posterior mean, that of all other samplers the best trial.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from _curves import Curve, Values, draw_curves, show_curves
from _parts import (
    RECORDED_DEPTHS,
    measure_recorded_fits,
    proposals,
    recorded,
    replicates,
    search,
    transfer,
)
from _rivals import RIVALS
from rich.progress import track

from search.cli.finding_tables import print_fits

PARTS: dict[str, Callable[..., dict[str, Curve]]] = {
    "search": search,
    "transfer": transfer,
    "replicates": replicates,
    "table": recorded,
    "proposals": proposals,
}

Job = tuple[str, dict[str, Any]]
"""Name of a part, and its arguments for one seed."""

_FEWEST_COMPARED = 40  # seeds of a comparison: fewer do not show a small difference
_TIMED = 3  # seeds of the time of a proposal


def main() -> None:
    """Run the parts that were asked for."""
    options = _parse_arguments()
    found: dict[str, dict[str, Values]] = {}
    for title, jobs in plan_jobs(options):
        found[title] = show_curves(title, run_jobs(jobs, options.processes, title))
        if options.curves:
            draw_curves(found, options.curves)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")

    if "table" in options.part:
        print_fits(measure_recorded_fits())


def _parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--depths", nargs="+", type=int, default=[4, 7, 13])
    parser.add_argument("--cadences", nargs="+", default=["free", "strict"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--samplers", nargs="+", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--curves", type=Path, help="SVG or PNG to draw")
    parser.add_argument("--json", type=Path, help="file for all values")
    return parser.parse_args()


def plan_jobs(options: argparse.Namespace) -> Iterator[tuple[str, list[Job]]]:
    """Yield the title and the jobs of each table."""
    seeds = range(options.seeds)
    many = range(max(_FEWEST_COMPARED, options.seeds))

    if "search" in options.part:
        yield from _plan_searches(options)

    if "transfer" in options.part:
        yield "depth 7, free: transfer", [("transfer", {"seed": seed}) for seed in many]

    if "replicates" in options.part:
        for depth, cadence in ((4, "free"), (7, "strict")):
            given = {"depth": depth, "cadence": cadence}
            jobs = [("replicates", {"seed": seed, **given}) for seed in many]
            yield f"depth {depth}, {cadence}, noise 0.008: replicates", jobs

    if "table" in options.part:
        for depth in RECORDED_DEPTHS:
            given = {"depth": depth, "names": tuple(options.samplers)}
            title = f"all-MiniLM-L6-v2, depth {depth}: trials until the best was tried"
            yield title, [("table", {"seed": seed, **given}) for seed in seeds]

    if "proposals" in options.part:
        timed = [("proposals", {"seed": seed}) for seed in range(_TIMED)]
        yield "depth 7, free: time of a proposal", timed


def _plan_searches(options: argparse.Namespace) -> Iterator[tuple[str, list[Job]]]:
    """Yield the title and the jobs of each search."""
    for depth, cadence, workers in product(options.depths, options.cadences, options.workers):
        if workers > 1 and (depth, cadence) != (7, "free"):
            continue  # one space shows the cost of parallel workers

        title = f"depth {depth}, {cadence}, workers: {workers}"
        given = {
            "depth": depth,
            "cadence": cadence,
            "workers": workers,
            "names": tuple(options.samplers),
        }
        yield title, [("search", {"seed": seed, **given}) for seed in range(options.seeds)]


def run_jobs(jobs: Sequence[Job], processes: int, title: str) -> list[dict[str, Curve]]:
    """Run jobs side by side, and return their curves in order."""
    with ProcessPoolExecutor(processes) as pool:
        found = pool.map(run_job, jobs)
        return list(track(found, title, total=len(jobs), transient=True))


def run_job(job: Job) -> dict[str, Curve]:
    """Run one job, in a process of its own."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    part, given = job
    return PARTS[part](**given)


if __name__ == "__main__":
    main()
