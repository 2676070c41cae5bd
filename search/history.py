"""The trials of one depth as samplers see them, read once and then only what is new."""

from sqlalchemy import Engine

from search import subsets
from search.samplers import Observation
from storage import leaderboard, retry

_OVER = "complete"  # what failed may be begun again


class History:
    """All trials of one depth of a study, in the order they were begun.

    Args:
        engine: the store.
        study_id: the study.
        depth: the depth.
    """

    def __init__(self, engine: Engine, study_id: int, depth: int) -> None:
        self._engine = engine
        self._where = (study_id, depth)
        self._seen: dict[int, Observation] = {}
        self._open: set[int] = set()

    def read(self) -> list[Observation]:
        """The trials as they are now. Claims of a depth queue up, so numbers only grow."""
        rows = retry.patiently(leaderboard.history)(
            self._engine,
            *self._where,
            after=next(reversed(self._seen), 0),
            again=sorted(self._open),
        )
        for row in rows:
            self._seen[row.id] = Observation(
                subsets.parse(row.subset), row.state, row.mean, row.seed
            )
        self._open -= {row.id for row in rows if row.state == _OVER}
        self._open |= {row.id for row in rows if row.state != _OVER}
        return list(self._seen.values())

    def of_other_depths(self) -> list[Observation]:
        """The scored trials of other depths with the same base and recipe, in any study."""
        rows = retry.patiently(leaderboard.relatives)(self._engine, *self._where)
        return [
            Observation(subsets.parse(row.subset), row.state, row.mean, row.seed) for row in rows
        ]
