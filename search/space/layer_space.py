"""The space: all valid subsets of one base, depth and cadence rule, counted exactly.

Notation
    L           number of layers of the base
    K           depth: number of positions of the cut model, one kept layer each
    T[i][l]     number of ways to fill the positions from i on with layers from l on

Everything rests on the table T, filled from the end by

    T[K][L] = 1
    T[i][l] = T[i][l + 1]           if layer l need not be kept, and is skipped
            + T[i + 1][l + 1]       if layer l may take position i, and is kept

A walk over it gives count, rank, unrank and uniform samples without ever rejecting a draw. It has
(K + 1) x (L + 1) entries, so 48 layers cost microseconds.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress, pairwise
from typing import TYPE_CHECKING

from search.errors import InputError
from search.space import cadences
from search.space.subset import Subset

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


def parameter_name(layer: int) -> str:
    """Return the name of the Optuna parameter that keeps `layer`: `keep_00`, `keep_01`, ..."""
    return f"keep_{layer:02d}"


@dataclass(frozen=True)
class LayerSpace:
    """All valid subsets of `depth` out of `layers` layers.

    Attributes:
        layers: number of layers of the base.
        depth: number of layers kept.
        period: every `period`-th layer of the base attends globally; None when it has no rhythm.
        cadence: name of the cadence rule.
        keep_first: whether every subset holds layer 0.
        pinned: layers every subset holds.
        forbidden: layers no subset holds.

    Raises:
        InputError: the arguments contradict each other or leave no subset at all.
    """

    layers: int
    depth: int
    period: int | None = 3
    cadence: str = "strict"
    keep_first: bool = True
    pinned: AbstractSet[int] = frozenset()
    forbidden: AbstractSet[int] = frozenset()

    def __post_init__(self) -> None:
        """Normalise the sets of layers, and refuse impossible arguments."""
        pinned = frozenset(self.pinned) | ({0} if self.keep_first else set())
        object.__setattr__(self, "pinned", pinned)
        object.__setattr__(self, "forbidden", frozenset(self.forbidden))
        for problem in self._problems():
            raise InputError(problem)

    def _problems(self) -> Iterator[str]:
        """Yield each mistake in the arguments, in words; a later check relies on earlier ones."""
        rule = cadences.load(self.cadence)  # an unknown rule raises with the choices
        if self.layers < 1:
            yield f"a base has at least 1 layer, not {self.layers}"
        if not 1 <= self.depth <= self.layers:
            yield f"depth {self.depth} is impossible: the base has {self.layers} layers"
        if self.period is not None and self.period < 1:
            yield f"period {self.period} is impossible: choose 1 or more"
        if self.period is None and rule is not cadences.load("free"):
            yield (
                f"cadence {self.cadence!r} needs an attention rhythm; the base has none: use 'free'"
            )

        mentioned = sorted(self.pinned | self.forbidden)
        if stray := [layer for layer in mentioned if not 0 <= layer < self.layers]:
            yield f"layer {stray[0]} does not exist: the base has layers 0 to {self.layers - 1}"
        if both := sorted(self.pinned & self.forbidden):
            hint = " (keep_first keeps layer 0)" if both[0] == 0 and self.keep_first else ""
            yield f"layer {both[0]} is both kept and forbidden{hint}: take it out of one of them"
        if len(self.pinned) > self.depth:
            kept = ", ".join(map(str, sorted(self.pinned)))
            yield f"depth {self.depth} cannot hold the {len(self.pinned)} pinned layers ({kept})"

        if self.count == 0:
            yield (
                f"no subset of depth {self.depth} out of {self.layers} layers satisfies cadence "
                f"{self.cadence!r} with these pinned and forbidden layers: loosen one of them"
            )

    def unconstrained(self, depth: int) -> "LayerSpace":
        """Return the space of all subsets of `depth` layers of the same base, without any rule.

        Raises:
            InputError: the base has not so many layers.
        """
        nothing: frozenset[int] = frozenset()
        return replace(
            self, depth=depth, cadence="free", keep_first=False, pinned=nothing, forbidden=nothing
        )

    @cached_property
    def _allowed(self) -> list[list[bool]]:
        """`_allowed[i][l]`: whether layer l may take position i, pinned layers aside."""
        rule, period = cadences.load(self.cadence), self.period or 1
        return [
            [
                layer not in self.forbidden and rule.allows(position, layer, period)
                for layer in range(self.layers)
            ]
            for position in range(self.depth)
        ]

    @cached_property
    def _tails(self) -> list[list[int]]:
        """The table T of the module's text."""
        tails = [[0] * (self.layers + 1) for _ in range(self.depth + 1)]
        tails[self.depth][self.layers] = 1
        for layer in reversed(range(self.layers)):
            for position in range(self.depth + 1):
                if layer not in self.pinned:
                    tails[position][layer] = tails[position][layer + 1]
                if position < self.depth and self._allowed[position][layer]:
                    tails[position][layer] += tails[position + 1][layer + 1]
        return tails

    @property
    def count(self) -> int:
        """Number of subsets in the space, exactly."""
        return self._tails[0][0]

    def beginning_with(self, prefix: Subset) -> int:
        """Return the exact number of members whose first layers are `prefix`, ascending."""
        if len(prefix) > self.depth or not all(
            self._allowed[position][layer] for position, layer in enumerate(prefix)
        ):
            return 0

        reached = prefix[-1] + 1 if prefix else 0
        if any(layer < reached and layer not in prefix for layer in self.pinned):
            return 0
        return self._tails[len(prefix)][reached]

    def __contains__(self, subset: object) -> bool:
        """Whether `subset`, a tuple of layer numbers, belongs to the space."""
        if not isinstance(subset, tuple) or len(subset) != self.depth:
            return False
        return (
            all(isinstance(layer, int) and 0 <= layer < self.layers for layer in subset)
            and all(low < high for low, high in pairwise(subset))
            and self.pinned <= set(subset)
            and all(allowed[layer] for allowed, layer in zip(self._allowed, subset, strict=True))
        )

    def __iter__(self) -> Iterator[Subset]:
        """Yield all subsets in lexicographic order, the order of `rank`."""
        return self._grow((), 0)

    def _grow(self, kept: Subset, layer: int) -> Iterator[Subset]:
        """Yield the subsets that begin with `kept` and go on with layers from `layer` on."""
        position = len(kept)
        if position == self.depth:
            yield kept
            return

        for following in range(layer, self.layers):
            if self._tails[position][following] == 0:
                return
            takes = self._allowed[position][following]
            if takes and self._tails[position + 1][following + 1]:
                yield from self._grow((*kept, following), following + 1)
            if following in self.pinned:
                return

    def rank(self, subset: Subset) -> int:
        """Return the place of `subset` in lexicographic order, from 0.

        Raises:
            InputError: `subset` is not in the space.
        """
        if subset not in self:
            message = f"{subset} is not in the space"
            raise InputError(message)

        # every layer that was skipped, though it could have been kept, comes with its completions
        rank, position = 0, 0
        for layer in range(subset[-1]):
            if layer == subset[position]:
                position += 1
            elif self._allowed[position][layer]:
                rank += self._tails[position + 1][layer + 1]
        return rank

    def unrank(self, rank: int) -> Subset:
        """Return the subset whose place in lexicographic order is `rank`.

        Raises:
            InputError: `rank` is not in 0 .. count - 1.
        """
        if not 0 <= rank < self.count:
            message = f"rank {rank} is outside 0 to {self.count - 1}"
            raise InputError(message)

        kept: list[int] = []
        for layer in range(self.layers):
            position = len(kept)
            if position == self.depth:
                break
            taking = self._tails[position + 1][layer + 1] if self._allowed[position][layer] else 0
            if rank < taking:
                kept.append(layer)
            else:
                rank -= taking
        return tuple(kept)

    def sample(self, rng: random.Random) -> Subset:
        """Return a subset drawn exactly uniformly."""
        return self.unrank(rng.randrange(self.count))

    def neighbours(self, subset: Subset) -> list[Subset]:
        """Return the members that differ from `subset` by one swapped layer, ascending.

        `subset` itself need not be a member.
        """
        dropped = [layer for layer in range(self.layers) if layer not in subset]
        swapped = (
            tuple(sorted((set(subset) - {out}) | {into})) for out in subset for into in dropped
        )
        return sorted(candidate for candidate in swapped if candidate in self)

    def closest(self, cost: Callable[[int, int], float]) -> Subset:
        """Return the member with the least total `cost(position, layer)`.

        Of members with equal cost, the one with the lowest layers.
        """
        infinity = float("inf")
        best = [[infinity] * (self.layers + 1) for _ in range(self.depth + 1)]
        taken = [[False] * (self.layers + 1) for _ in range(self.depth + 1)]
        best[self.depth][self.layers] = 0.0

        # least cost of the positions from each on, with layers from each on: the table T again
        for layer in reversed(range(self.layers)):
            for position in range(self.depth + 1):
                skipping = infinity if layer in self.pinned else best[position][layer + 1]
                taking = infinity
                if position < self.depth and self._allowed[position][layer]:
                    taking = cost(position, layer) + best[position + 1][layer + 1]
                best[position][layer] = min(skipping, taking)
                taken[position][layer] = taking <= skipping and taking < infinity

        kept: list[int] = []
        for layer in range(self.layers):
            if taken[len(kept)][layer]:
                kept.append(layer)
        return tuple(kept)

    def encode(self, subset: Subset) -> dict[str, int]:
        """Return `subset` as Optuna parameters: `keep_00` is 1 when layer 0 is kept, and so on."""
        return {parameter_name(layer): int(layer in subset) for layer in range(self.layers)}

    def decode(self, keep: Sequence[int]) -> Subset:
        """Return the member that shares the most layers with a proposal, the same one every time.

        A valid proposal is returned as it is. Among equally close members the choice is spread
        evenly by noise drawn from the proposal itself: a fixed order would favour early layers.

        Args:
            keep: one number per layer, 1 to keep it.
        """
        proposed = tuple(compress(range(self.layers), keep))
        if proposed in self:
            return proposed

        rng = random.Random(repr(proposed))
        noise = [rng.random() / (self.layers + 1) for _ in range(self.layers)]
        return self.closest(lambda _, layer: noise[layer] - float(layer in proposed))

    def decode_parameters(self, parameters: Mapping[str, object]) -> Subset | None:
        """Return the subset of recorded Optuna parameters; None when they are not of this base."""
        keep = [parameters.get(parameter_name(layer)) for layer in range(self.layers)]
        if parameter_name(self.layers) in parameters or not all(value in (0, 1) for value in keep):
            return None
        return tuple(layer for layer, value in enumerate(keep) if value == 1)

    def suggest(self, trial: "BaseTrial") -> Subset:
        """Turn any Optuna trial into a valid subset, through its ints `keep_00`, `keep_01`, ..."""
        names = map(parameter_name, range(self.layers))
        return self.decode([trial.suggest_int(name, 0, 1) for name in names])
