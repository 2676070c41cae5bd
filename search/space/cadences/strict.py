"""Every kept layer keeps its own attention type: global to global, local to local."""


def allows(position: int, layer: int, period: int) -> bool:
    """Whether the types of `position` and `layer` agree."""
    return (position % period == 0) == (layer % period == 0)
