"""The command that counts subsets, without any store: space."""

import random
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from search.cli.options import AsJson
from search.cli.output import NO_GLOBAL_POSITION, print_json, say
from search.space import LayerSpace, format_subset
from search.space.families import FAMILIES, Picks, build_family
from search.space.rhythm import Phase
from storage.values.bounds import LARGEST_SEED, MOST_LAYERS

EXAMPLES = {
    "space": "Example: layer-search space --layers 22 --depth 7 --cadence strict --samples 3"
}

_MOST_SAMPLES = 100_000  # a heuristic: they take seconds, and nobody reads more
_LAST = MOST_LAYERS - 1

_Pinned = Annotated[
    list[int] | None, typer.Option(min=0, max=_LAST, help="Always keep this layer; repeatable.")
]
_Forbidden = Annotated[
    list[int] | None, typer.Option(min=0, max=_LAST, help="Never keep this layer; repeatable.")
]
_Samples = Annotated[
    int, typer.Option(min=0, max=_MOST_SAMPLES, help="Print this many random subsets.")
]


def space(  # noqa: PLR0913 - every option of a command is a parameter
    *,
    layers: Annotated[int, typer.Option(min=1, max=MOST_LAYERS, help="Layers of the base.")],
    depth: Annotated[int, typer.Option(min=1, max=MOST_LAYERS, help="Layers to keep.")],
    cadence: Annotated[
        str, typer.Option(help="Cadence rule: strict, anchored, periodic or free.")
    ] = "strict",
    period: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_LAYERS, help="One of N layers is global; 0 for a base without a rhythm."
        ),
    ] = 3,
    phase: Annotated[
        Phase, typer.Option(help="Which layer of each period is the global one.")
    ] = "first",
    keep_first: Annotated[bool, typer.Option(help="Whether layer 0 is always kept.")] = True,
    pin: _Pinned = None,
    forbid: _Forbidden = None,
    samples: _Samples = 5,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Count the valid subsets of a space and show some of them."""
    searched = LayerSpace(
        layers=layers,
        depth=depth,
        period=period or None,
        cadence=cadence,
        keep_first=keep_first,
        pinned=frozenset(pin or ()),
        forbidden=frozenset(forbid or ()),
        phase=phase,
    )
    rng = random.Random(seed)
    drawn = [format_subset(searched.sample(rng)) for _ in range(samples)]
    families = {name: build_family(name, searched) for name in FAMILIES}

    if as_json:
        _print_json(searched, drawn, families)
        return
    say(f"{searched.count} subsets of depth {depth} out of {layers} layers, {cadence}")
    if not searched.has_global_position:
        say(f"  {NO_GLOBAL_POSITION}")
    for name, picks in families.items():
        say(f"  {name}: {_describe(picks, searched)}")
    for sample in drawn:
        say(f"  sample: {sample}")


def _print_json(space: LayerSpace, drawn: Sequence[str], families: Mapping[str, Picks]) -> None:
    """Print size, samples and families as JSON, with the families that have no subset, and why."""
    print_json(
        {
            "count": space.count,
            "samples": drawn,
            "families": {
                name: [format_subset(subset) for subset in picks.subsets]
                for name, picks in families.items()
            },
            "missing": {name: picks.missing for name, picks in families.items() if picks.missing},
        }
    )


def _describe(picks: Picks, space: LayerSpace) -> str:
    """Return the subsets of a family, with a remark on each outside the space, or why none."""
    if picks.missing:
        return f"none: {picks.missing}"
    return ", ".join(
        format_subset(subset) + ("" if subset in space else " (outside the space)")
        for subset in picks.subsets
    )
