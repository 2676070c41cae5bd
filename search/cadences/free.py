"""No rule: any layer may take any position. The only rule for a base without a rhythm."""


def allows(position: int, layer: int, period: int) -> bool:  # noqa: ARG001 - the common signature
    """Always true."""
    return True
