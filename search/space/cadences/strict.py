"""Every kept layer keeps its own attention type: global to global, local to local."""

from search.space.rhythm import Rhythm


def allows(position: int, layer: int, base: Rhythm, cut: Rhythm) -> bool:
    """Whether the types of `position` and `layer` agree."""
    return cut.is_global(position) == base.is_global(layer)
