"""Named families: the baselines people pick by hand, for any base and depth.

Notation
    L           number of layers of the base
    K           depth

`bottom`, `top` and `alternate` are taken literally, and may lie outside the space: they are the
models that remain after the top-layer, bottom-layer and alternate dropping of Sajjad et al. (2023),
"On the effect of dropping layers of pre-trained transformer models". `front`, `back` and `spread`
are members of the space: the front-heavy, back-heavy and distributed strategies of the model card
of `hotchpotch/mmBERT-L7H384-pruned`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from search.errors import InputError
from search.space.layer_space import LayerSpace
from search.space.subset import Subset, format_subset


@dataclass(frozen=True, slots=True)
class Picks:
    """The subsets of one family at one depth.

    Attributes:
        subsets: the subsets, the one to try first in front.
        missing: why there are none; None when there are some.
    """

    subsets: Sequence[Subset]
    missing: str | None = None


def bottom(space: LayerSpace) -> Picks:
    """Return the first K layers: `0_1_2_3`."""
    return Picks([tuple(range(space.depth))])


def top(space: LayerSpace) -> Picks:
    """Return the last K layers: `18_19_20_21`."""
    return Picks([tuple(range(space.layers - space.depth, space.layers))])


def alternate(space: LayerSpace) -> Picks:
    """Return K layers from layer 0 on, at the largest equal distance from each other: `0_7_14_21`.

    At the distance of 1 it would be `bottom`, and has no member.
    """
    if space.depth == 1:
        return Picks([(0,)])
    distance = (space.layers - 1) // (space.depth - 1)
    if distance == 1:
        return Picks([], f"every second of {space.layers} layers are only {-(-space.layers // 2)}")
    return Picks([tuple(range(0, space.depth * distance, distance))])


def front(space: LayerSpace) -> Picks:
    """Return the first K - 1 layers plus one late layer, a global one where the cadence allows it.

    There is one member for each such layer, the latest first: `0_1_2_21`, `0_1_2_18`, ... A base
    without a rhythm has no special layer, so that the last one possible stands for all.
    """
    head = tuple(range(space.depth - 1))
    late = space.followers(head)[::-1]
    if not late:
        return Picks([], _explain(space, head))
    if space.rhythm is None:
        return Picks([(*head, late[0])])

    chosen = [layer for layer in late if space.rhythm.is_global(layer)] or late
    return Picks([(*head, layer) for layer in chosen])


def back(space: LayerSpace) -> Picks:
    """Return layer 0 plus K - 1 layers as late as the rules allow: `0_19_20_21`.

    As late as the rules allow: the member with layer 0 whose layers have the largest sum.
    """
    if not space.beginning_with((0,)):
        return Picks([], _explain(space, (0,)))
    return Picks([replace(space, keep_first=True).closest(lambda _, layer: -float(layer))])


def spread(space: LayerSpace) -> Picks:
    """Return the member nearest to even distances from layer 0 to layer L - 1: `0_7_14_21`.

    Nearest: with the least sum of the distances |l_i - i (L - 1) / (K - 1)| of its layers l_i.
    """
    step = (space.layers - 1) / max(1, space.depth - 1)
    return Picks([space.closest(lambda position, layer: abs(layer - position * step))])


FAMILIES: dict[str, Callable[[LayerSpace], Picks]] = {
    family.__name__: family for family in (bottom, top, alternate, front, back, spread)
}


def build_family(name: str, space: LayerSpace) -> Picks:
    """Return the subsets of the family `name` for the base and the depth of `space`.

    Raises:
        InputError: there is no such family; the message lists the choices.
    """
    if name not in FAMILIES:
        message = f"unknown family {name!r}: choose one of {', '.join(FAMILIES)}"
        raise InputError(message)
    return FAMILIES[name](space)


def _explain(space: LayerSpace, prefix: Subset) -> str:
    """Return the reason why no member of `space` begins with `prefix`."""
    if forbidden := sorted(space.forbidden & set(prefix)):
        return f"layer {forbidden[0]} is forbidden"

    pinned = sorted(space.pinned - set(prefix))
    if len(pinned) > space.depth - len(prefix):
        kept = ", ".join(map(str, pinned))
        return f"it begins with {format_subset(prefix)}, which leaves no room for pinned {kept}"
    return f"no subset of the space begins with {format_subset(prefix)}"
