"""The trials of one depth as samplers see them, read once and then only the new ones."""

from sqlalchemy import Engine

from search.observation import Observation
from storage.states import TrialState
from storage.trials import PastTrial, read_history, read_other_depths

_PENDING = (TrialState.RUNNING, TrialState.WAITING)


class History:
    """All trials of one depth of a study, in the order they were begun.

    Args:
        engine: the store.
        study_id: the study.
        depth: the depth.
    """

    def __init__(self, engine: Engine, study_id: int, depth: int) -> None:
        self._engine = engine
        self._study_id = study_id
        self._depth = depth
        self._seen: dict[int, Observation] = {}
        self._open: set[int] = set()

    def read(self) -> list[Observation]:
        """Return the trials as they are now. Claims of a depth queue up, so numbers only grow."""
        rows = read_history(
            self._engine,
            self._study_id,
            self._depth,
            after=next(reversed(self._seen), 0),
            again=sorted(self._open),
        )

        for row in rows:
            self._seen[row.id] = _observe(row)
            if row.state == TrialState.COMPLETE:
                self._open.discard(row.id)
            else:
                self._open.add(row.id)  # also what failed: it may be begun again
        return list(self._seen.values())

    def read_other_depths(self) -> list[Observation]:
        """Return the scored trials of other depths with the same base and recipe, in any study."""
        rows = read_other_depths(self._engine, self._study_id, self._depth)
        return [_observe(row) for row in rows]


def _observe(row: PastTrial) -> Observation:
    """Return a trial of the store as samplers see it."""
    return Observation(row.subset, row.mean, row.state in _PENDING, row.seed)
