"""Global positions take global layers; local positions take any layer."""

from search.space.rhythm import Rhythm


def allows(position: int, layer: int, base: Rhythm, cut: Rhythm) -> bool:
    """Whether `position` is local or `layer` is global."""
    return base.is_global(layer) or not cut.is_global(position)
