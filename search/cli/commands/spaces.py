"""The command that counts subsets, without any store: space."""

import random
from typing import Annotated

import typer

from search.cli.options import AsJson
from search.cli.output import print_json, say
from search.space import LayerSpace, format_subset
from search.space.families import FAMILIES, build_family

EXAMPLES = {
    "space": "Example: layer-search space --layers 22 --depth 7 --cadence strict --samples 3"
}


def space(  # noqa: PLR0913 - every option of a command is a parameter
    *,
    layers: Annotated[int, typer.Option(max=1000, help="Layers of the base.")],
    depth: Annotated[int, typer.Option(help="Layers to keep.")],
    cadence: Annotated[
        str, typer.Option(help="Cadence rule: strict, anchored or free.")
    ] = "strict",
    period: Annotated[
        int, typer.Option(help="Every N-th layer is global; 0 for a base without a rhythm.")
    ] = 3,
    keep_first: Annotated[bool, typer.Option(help="Whether layer 0 is always kept.")] = True,
    pin: Annotated[
        list[int] | None, typer.Option(help="Always keep this layer; repeatable.")
    ] = None,
    forbid: Annotated[
        list[int] | None, typer.Option(help="Never keep this layer; repeatable.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Print this many random subsets.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
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
    )
    rng = random.Random(seed)
    drawn = [format_subset(searched.sample(rng)) for _ in range(samples)]
    families = {
        name: [format_subset(subset) for subset in build_family(name, searched)]
        for name in FAMILIES
    }

    if as_json:
        print_json({"count": searched.count, "samples": drawn, "families": families})
        return
    say(f"{searched.count} subsets of depth {depth} out of {layers} layers, {cadence}")
    for name, members in families.items():
        say(f"  {name}: {', '.join(members)}")
    for sample in drawn:
        say(f"  sample: {sample}")
