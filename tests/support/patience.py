"""Functions that wait out an outage of the database, made impatient."""

from collections.abc import Callable

import pytest
import tenacity


def give_up_after(
    patch: pytest.MonkeyPatch, function: Callable[..., object], seconds: float
) -> None:
    """Let a function under `storage.database.patient` wait `seconds`, no longer ten minutes."""
    patch.setattr(vars(function)["retry"], "stop", tenacity.stop_after_delay(seconds))
