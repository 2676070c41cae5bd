"""Every subset of the space, one after the other."""

import random
from collections.abc import Sequence

from search.samplers._base import Observation, SubsetSampler, first_unseen
from search.subsets import Subset


class ExhaustiveSampler(SubsetSampler):
    """Enumerates the space in lexicographic order, for spaces small enough to be tried whole."""

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:  # noqa: ARG002
        """The first subset that has not been tried; nothing is left to chance."""
        return first_unseen(self.space, history)
