"""Every untried subset is equally likely. The baseline all others must beat."""

import random
from collections.abc import Sequence

from search.samplers._base import Observation, SubsetSampler, unseen
from search.subsets import Subset


class UniformSampler(SubsetSampler):
    """Draws uniformly among the subsets that were not tried yet."""

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """An untried subset, all equally likely."""
        return unseen(self.space, history, rng)
