"""The sampler `exhaustive`: every subset of the space, one after the other."""

import random
from collections.abc import Sequence

from search.observation import Observation
from search.samplers._base import SubsetSampler
from search.samplers._untried import first_untried
from search.space import Subset


class ExhaustiveSampler(SubsetSampler):
    """Enumerates the space in lexicographic order, for spaces small enough to be tried whole."""

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return the first subset that has not been tried; nothing is left to chance."""
        del rng
        return first_untried(self.space, history)
