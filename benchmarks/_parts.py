"""The parts of the regret benchmark: each returns the curves of several samplers for one seed."""

import csv
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _curves import AT, Curve
from _landscapes import NOISE, ROUGHNESS, Effects, Landscape
from _rivals import AUTO, AutoReplicates, OwnSampler, Rival, make_rival

from search.analysis.screen_fit import measure_fit
from search.observation import Observation
from search.samplers.gp import GPSampler
from search.space import LayerSpace, Subset, parse_subset
from search.study.screening import MEASURES, table_hint
from storage.screens import FitRecord

LAYERS = 22
"""Layers of the base of the synthetic landscapes; its period is 3."""

BUDGET = 100
"""Trials of a search."""

RECORDED_DEPTHS = (2, 3, 4)
"""Depths of the recorded trials and screens of all-MiniLM-L6-v2."""

_RECORDED_LAYERS = 6
_TRIALS = Path(__file__).with_name("minilm.csv")
_SCREENS = Path(__file__).with_name("minilm_screen.csv")

_TRANSFER_TRIALS = 60  # of each of the two depths
_NOISY = 2 * NOISE  # so much that a lucky trial leads for long, unless it is repeated

ScreenScores = dict[Subset, float]
"""A score by subset."""


def search(
    seed: int, depth: int, cadence: str, workers: int, names: Sequence[str]
) -> dict[str, Curve]:
    """Return the regret of each sampler in `names` on one landscape."""
    space = make_space(depth, cadence)
    landscape = Landscape.drawn(space, seed, roughness=_roughness(seed))
    return {
        name: run_search(make_rival(name, space, seed), landscape, BUDGET, workers, seed)
        for name in names
    }


def transfer(seed: int) -> dict[str, Curve]:
    """Return the regret at depth 7, alone and after trials of depth 4.

    The other depth shares the effects of layers (kindred), or has effects of its own (strange).
    """
    shallow, deep = make_space(4, "free"), make_space(7, "free")
    roughness = _roughness(seed)
    landscape = Landscape.drawn(deep, seed, roughness=roughness)

    def search_shallow(effects: Effects) -> list[Observation]:
        """Return the trials of a search at depth 4."""
        there = Landscape.drawn(shallow, seed + 1000, roughness=roughness, effects=effects)
        rival = OwnSampler("gp", shallow, seed)
        run_search(rival, there, _TRANSFER_TRIALS, 1, seed)
        return rival.history

    known: dict[str, list[Observation]] = {
        "alone": [],
        "kindred depth 4": search_shallow(Effects.drawn(LAYERS, seed)),
        "strange depth 4": search_shallow(Effects.drawn(LAYERS, seed + 500)),
    }

    rivals: dict[str, Rival] = {}
    for name, others in known.items():
        rivals[name] = OwnSampler("gp", deep, seed, others, transfer=True)
        rivals[f"{name}, auto replicates"] = AutoReplicates(
            deep, seed, _TRANSFER_TRIALS, others, transfer=True
        )
    return {
        name: run_search(rival, landscape, _TRANSFER_TRIALS, 1, seed)
        for name, rival in rivals.items()
    }


def replicates(seed: int, depth: int, cadence: str) -> dict[str, Curve]:
    """Return the regret with and without automatic replicates, on a noisy landscape."""
    space = make_space(depth, cadence)
    landscape = Landscape.drawn(space, seed, roughness=_roughness(seed), noise=_NOISY)
    return {
        name: run_search(make_rival(kind, space, seed), landscape, BUDGET, 1, seed)
        for name, kind in (("one seed", "gp"), ("auto", AUTO))
    }


def recorded(seed: int, depth: int, names: Sequence[str]) -> dict[str, Curve]:
    """Return the trials until the best subset of the recorded table was tried, by sampler."""
    space = _recorded_space(depth)
    landscape = Landscape.recorded(_TRIALS, space, seed=seed)

    rivals = {name: make_rival(name, space, seed) for name in names}
    for weights, measures in read_screens(depth).items():
        hints = [table_hint(table) for table in measures.values()]
        rivals[f"gp, screen {weights}"] = OwnSampler("gp", space, seed, hints=hints)

    return {name: {0: _trials_to_best(rival, landscape)} for name, rival in rivals.items()}


def proposals(seed: int) -> dict[str, Curve]:
    """Return the seconds of a proposal after 100 and 1,000 trials, once the space is known."""
    space = make_space(7, "free")
    landscape = Landscape.drawn(space, seed, roughness=ROUGHNESS[1])
    ranks = random.Random(seed).sample(range(space.count), 1000)
    drawn = [space.unrank(rank) for rank in ranks]
    history = [Observation(subset, landscape.trial(subset)) for subset in drawn]

    sampler = GPSampler(space, seed=seed)
    found = {}
    for number in (100, 100, 1000):  # the first also encodes the space, once per process
        start = time.perf_counter()
        sampler.next_subset(history[:number])
        found[number] = time.perf_counter() - start
    return {"gp, seconds of a proposal": found}


def make_space(depth: int, cadence: str) -> LayerSpace:
    """Return a space of the base of 22 layers."""
    return LayerSpace(LAYERS, depth, 3, cadence)


def run_search(rival: Rival, landscape: Landscape, trials: int, workers: int, seed: int) -> Curve:
    """Return the regret of the answer after each number of finished trials in `AT`.

    Args:
        rival: the sampler.
        landscape: the landscape it searches.
        trials: budget.
        workers: trials that run at a time; one of them, drawn at random, ends first.
        seed: seed of that draw.
    """
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


def read_screens(depth: int) -> dict[str, dict[str, ScreenScores]]:
    """Return the recorded screens of one depth: by weights and measure, the scores."""
    found: dict[str, dict[str, ScreenScores]] = {}
    with _SCREENS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["depth"]) == depth:
                measures = found.setdefault(row["weights"], {})
                for measure in MEASURES:
                    measures.setdefault(measure, {})[parse_subset(row["subset"])] = float(
                        row[measure]
                    )
    return found


def measure_recorded_fits() -> list[FitRecord]:
    """Return how well the recorded screens predict the recorded trials."""
    fits = []
    for depth in RECORDED_DEPTHS:
        space = _recorded_space(depth)
        means = Landscape.recorded(_TRIALS, space).scores
        trials = np.array([means[subset] for subset in space])

        for weights, measures in read_screens(depth).items():
            for measure, table in measures.items():
                predicted = np.array([table[subset] for subset in space])
                fits.append(measure_fit(depth, weights, measure, predicted, trials))
    return fits


def _recorded_space(depth: int) -> LayerSpace:
    """Return the space of all subsets of all-MiniLM-L6-v2 of one depth."""
    return LayerSpace(_RECORDED_LAYERS, depth, None, "free", keep_first=False)


def _roughness(seed: int) -> float:
    """Return the roughness of the landscape of a seed: each in turn."""
    return ROUGHNESS[seed % len(ROUGHNESS)]


def _trials_to_best(rival: Rival, landscape: Landscape) -> float:
    """Return the number of trials until the best subset was tried, at most the budget."""
    for number in range(1, BUDGET + 1):
        ticket, subset = rival.ask()
        rival.tell(ticket, landscape.trial(subset, number))
        if landscape.regret(subset) == 0:
            return float(number)
    return float(BUDGET)
