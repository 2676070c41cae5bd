"""Global positions take global layers; local positions take any layer."""


def allows(position: int, layer: int, period: int) -> bool:
    """Whether `position` is local or `layer` is global."""
    return position % period != 0 or layer % period == 0
