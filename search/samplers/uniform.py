"""The sampler `uniform`: every untried subset is equally likely. The baseline of all samplers."""

import random
from collections.abc import Sequence

from search.observation import Observation
from search.samplers._base import SubsetSampler
from search.samplers._untried import draw_untried
from search.space import Subset


class UniformSampler(SubsetSampler):
    """Draws uniformly among the subsets that were not tried yet."""

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return an untried subset, all equally likely."""
        return draw_untried(self.space, history, rng)
