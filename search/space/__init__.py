"""The space of valid subsets: one base, one depth, one cadence rule.

space = LayerSpace(layers=22, depth=7, period=3, cadence="strict")
print(space.count, space.sample(random.Random(0)))
"""

from search.space.layer_space import LayerSpace, parameter_name
from search.space.rhythm import Rhythm
from search.space.subset import Subset, format_subset, parse_subset

__all__ = ["LayerSpace", "Rhythm", "Subset", "format_subset", "parameter_name", "parse_subset"]
