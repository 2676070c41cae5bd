"""Named families: the baselines people pick by hand, for any space.

They follow the three strategies of the model card of `hotchpotch/mmBERT-L7H384-pruned`:
front-heavy, back-heavy and distributed.
"""

from collections.abc import Callable

from search.errors import InputError
from search.space.layer_space import LayerSpace
from search.space.subset import Subset


def front(space: LayerSpace) -> list[Subset]:
    """Return the first layers plus one late layer, a global one where the cadence allows it.

    For 22 layers of period 3 at depth 4: `0_1_2_21`, `0_1_2_18`, ... The latest comes first.
    """
    head = tuple(range(space.depth - 1))
    late = reversed(range(space.depth - 1, space.layers))
    members = [(*head, layer) for layer in late if (*head, layer) in space]
    if space.period is None:
        return members[:1]  # no layer is special, so the last one stands for all

    anchored = [subset for subset in members if subset[-1] % space.period == 0]
    return anchored or members


def back(space: LayerSpace) -> list[Subset]:
    """Return layer 0 plus the last layers, as late as the cadence allows: `0_19_20_21`."""
    subset = space.closest(lambda position, layer: 0.0 if position == 0 else -float(layer))
    return [subset]


def spread(space: LayerSpace) -> list[Subset]:
    """Return layers at even distances from first to last, as near as the cadence allows."""
    step = (space.layers - 1) / max(1, space.depth - 1)
    return [space.closest(lambda position, layer: abs(layer - position * step))]


FAMILIES: dict[str, Callable[[LayerSpace], list[Subset]]] = {
    "front": front,
    "back": back,
    "spread": spread,
}


def build_family(name: str, space: LayerSpace) -> list[Subset]:
    """Return the members of the family `name` in `space`.

    Raises:
        InputError: there is no such family; the message lists the choices.
    """
    if name not in FAMILIES:
        message = f"unknown family {name!r}: choose one of {', '.join(FAMILIES)}"
        raise InputError(message)
    return FAMILIES[name](space)
