"""Keeps a claim alive in the background while its trial runs."""

import logging
import threading
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from storage import claims
from storage.claims import LEASE_SECONDS, Claim

log = logging.getLogger("layer-search")


class Lease:
    """Renews `held` until left; a renewal that fails is tried again, however long it takes.

    Args:
        engine: the store.
        held: the claim.
        lease: seconds each renewal lasts; renewed three times as often.
    """

    def __init__(self, engine: Engine, held: Claim, lease: float = LEASE_SECONDS) -> None:
        self._engine = engine
        self._held = held
        self._lease = lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop renewing; a renewal under way may end by itself."""
        self._done.set()
        self._thread.join(timeout=1)

    def _renew(self) -> None:
        while not self._done.wait(self._lease / 3):
            try:
                if not claims.renew(self._engine, self._held, self._lease):
                    log.warning("trial %s was taken over by another worker", self._held.subset)
                    return
            except SQLAlchemyError as error:
                log.warning(
                    "cannot renew the lease of %s yet: %s", self._held.subset, type(error).__name__
                )
