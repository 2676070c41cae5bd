"""No rule: any layer may take any position. The only rule for a base without a rhythm."""


def allows(position: int, layer: int, period: int) -> bool:
    """Return true for every layer at every position."""
    del position, layer, period
    return True
