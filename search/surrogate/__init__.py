"""The surrogate: what the trials so far say of every subset, tried or not.

A Gaussian process over the subsets of one space. `gp` proposes by it, `search.answer` names the
subset to keep by it. It holds no state: the same trials give the same posterior on any machine.
"""

from search.surrogate.model import Posterior, Surrogate
from search.surrogate.trials import Trials

__all__ = ["Posterior", "Surrogate", "Trials"]
