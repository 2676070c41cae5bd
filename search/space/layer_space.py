"""The space: all valid subsets of one base, depth and cadence rule, counted exactly.

The cut models of a space have one rhythm, or, where the cadence rule knows several, each its own.
The members with one cut rhythm are counted by one table of `Completions`; a member belongs to
exactly one of them, so that counts add up. A walk over the tables gives rank, unrank and uniform
samples without ever rejecting a draw.
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
from search.space.completions import Completions
from search.space.rhythm import Phase, Rhythm
from search.space.subset import Subset
from storage.values.bounds import MOST_LAYERS

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

# Entries of all tables of a space. Filling them takes 5 s and a gigabyte; an encoder of 100 layers
# under a rule with 100 rhythms stays below it ten times over.
_MOST_ENTRIES = 10_000_000


def parameter_name(layer: int) -> str:
    """Return the name of the Optuna parameter that keeps `layer`: `keep_00`, `keep_01`, ..."""
    return f"keep_{layer:02d}"


@dataclass(frozen=True)
class LayerSpace:
    """All valid subsets of `depth` out of `layers` layers.

    Attributes:
        layers: number of layers of the base.
        depth: number of layers kept.
        period: one of `period` layers of the base attends globally; None when it has no rhythm.
        cadence: name of the cadence rule.
        keep_first: whether every subset holds layer 0.
        pinned: layers every subset holds.
        forbidden: layers no subset holds.
        phase: which layer of each period is the global one, the `first` or the `last`.

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
    phase: Phase = "first"

    def __post_init__(self) -> None:
        """Normalise the sets of layers, and refuse impossible arguments."""
        pinned = frozenset(self.pinned) | ({0} if self.keep_first else set())
        object.__setattr__(self, "pinned", pinned)
        object.__setattr__(self, "forbidden", frozenset(self.forbidden))
        for problem in self._problems():
            raise InputError(problem)

    def _problems(self) -> Iterator[str]:
        """Yield each mistake in the arguments, in words; a later check relies on earlier ones."""
        if self.layers < 1:
            yield f"a base has at least 1 layer, not {self.layers}"
        if self.layers > MOST_LAYERS:
            yield f"a base has at most {MOST_LAYERS} layers, not {self.layers}"
        if not 1 <= self.depth <= self.layers:
            yield f"depth {self.depth} is impossible: the base has {self.layers} layers"

        # an unknown rule and an impossible rhythm raise by themselves, with the choices
        rhythms = self._rule.rhythms(self.depth, self._base_rhythm)
        if self.rhythm is None and self.cadence != "free":
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

        if len(rhythms) * self.depth * self.layers > _MOST_ENTRIES:
            yield (
                f"depth {self.depth} out of {self.layers} layers is too large to count under "
                f"cadence {self.cadence!r}: choose a smaller depth or another cadence"
            )
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

    # --- rhythms

    @property
    def rhythm(self) -> Rhythm | None:
        """Rhythm of the base; None when it has none."""
        return None if self.period is None else Rhythm(self.period, self.phase)

    def cut_rhythm(self, subset: Subset) -> Rhythm | None:
        """Return the rhythm of the model that keeps `subset`; None when the base has none.

        It is the base's, unless the cadence rule lets a cut model have its own and the types of
        the kept layers form one. `subset` need not be a member, nor be of this depth.
        """
        return self.rhythm and self._rule.cut_rhythm(subset, self.rhythm)

    def cut_rhythms(self, prefix: Subset) -> tuple[Rhythm, ...]:
        """Return the cut rhythms of the members whose first layers are `prefix`.

        A base without a rhythm counts as one of period 1: all its layers are global.
        """
        return tuple(table.rhythm for table in self._tables_after(prefix))

    @property
    def has_global_position(self) -> bool:
        """Whether some member becomes a model with a global layer.

        With the global layer last of its period, shallow cuts that follow the base have none.
        """
        rhythms = self.cut_rhythms(())
        return any(rhythm.is_global(i) for rhythm in rhythms for i in range(self.depth))

    @property
    def _rule(self) -> cadences.Cadence:
        """The cadence rule."""
        return cadences.load(self.cadence)

    @property
    def _base_rhythm(self) -> Rhythm:
        """Rhythm of the base; without one, all its layers are global."""
        return self.rhythm or Rhythm(1)

    # --- counts

    @cached_property
    def _tables(self) -> list[Completions]:
        """The members by cut rhythm; rhythms that no member has are left out."""
        rule, base = self._rule, self._base_rhythm
        is_pinned = [layer in self.pinned for layer in range(self.layers)]

        tables = []
        for cut in rule.rhythms(self.depth, base):
            allowed = [
                [
                    layer not in self.forbidden and rule.allows(position, layer, base, cut)
                    for layer in range(self.layers)
                ]
                for position in range(self.depth)
            ]
            tables.append(Completions(cut, allowed, is_pinned))
        return [table for table in tables if table.ways[0][0]]

    @property
    def count(self) -> int:
        """Number of subsets in the space, exactly."""
        return sum(table.ways[0][0] for table in self._tables)

    def beginning_with(self, prefix: Subset) -> int:
        """Return the exact number of members whose first layers are `prefix`, ascending."""
        reached = prefix[-1] + 1 if prefix else 0
        return sum(table.ways[len(prefix)][reached] for table in self._tables_after(prefix))

    def followers(self, prefix: Subset) -> list[int]:
        """Return the layers that come next in members whose first layers are `prefix`, ascending.

        There are none when no member begins so, or when `prefix` is one.
        """
        return [layer for layer, _ in self._steps(prefix, self._tables_after(prefix))]

    def _tables_after(self, prefix: Subset) -> list[Completions]:
        """Return the tables with members whose first layers are `prefix`, ascending."""
        reached = prefix[-1] + 1 if prefix else 0
        skips_pinned = any(layer < reached and layer not in prefix for layer in self.pinned)
        if len(prefix) > self.depth or skips_pinned:
            return []
        return [
            table
            for table in self._tables
            if table.allow(prefix) and table.ways[len(prefix)][reached]
        ]

    def _steps(
        self, prefix: Subset, tables: Sequence[Completions]
    ) -> Iterator[tuple[int, list[Completions]]]:
        """Yield each layer that can follow `prefix`, with the tables that have a member so far.

        Args:
            prefix: the first layers of a member.
            tables: the tables with members that begin with them.
        """
        position, first = len(prefix), prefix[-1] + 1 if prefix else 0
        if position == self.depth:
            return
        for layer in range(first, self.layers):
            rest = [table for table in tables if table.taking(position, layer)]
            if rest:
                yield layer, rest
            if layer in self.pinned:
                return

    # --- members

    def __contains__(self, subset: object) -> bool:
        """Whether `subset`, a tuple of layer numbers, belongs to the space."""
        if not isinstance(subset, tuple) or len(subset) != self.depth:
            return False
        return (
            all(isinstance(layer, int) and 0 <= layer < self.layers for layer in subset)
            and all(low < high for low, high in pairwise(subset))
            and self.pinned <= set(subset)
            and any(table.allow(subset) for table in self._tables)
        )

    def __iter__(self) -> Iterator[Subset]:
        """Yield all subsets in lexicographic order, the order of `rank`."""
        return self._grow((), self._tables)

    def _grow(self, kept: Subset, tables: Sequence[Completions]) -> Iterator[Subset]:
        """Yield the subsets of `tables` that begin with `kept`."""
        if len(kept) == self.depth:
            yield kept
        for layer, rest in self._steps(kept, tables):
            yield from self._grow((*kept, layer), rest)

    def rank(self, subset: Subset) -> int:
        """Return the place of `subset` in lexicographic order, from 0.

        Raises:
            InputError: `subset` is not in the space.
        """
        if subset not in self:
            message = f"{subset} is not in the space"
            raise InputError(message)

        # every layer that was skipped, though it could have been kept, comes with its completions
        rank, position, tables = 0, 0, self._tables
        for layer in range(subset[-1]):
            if layer == subset[position]:
                tables = [table for table in tables if table.allowed[position][layer]]
                position += 1
            else:
                rank += sum(table.taking(position, layer) for table in tables)
        return rank

    def unrank(self, rank: int) -> Subset:
        """Return the subset whose place in lexicographic order is `rank`.

        Raises:
            InputError: `rank` is not in 0 .. count - 1.
        """
        if not 0 <= rank < self.count:
            message = f"rank {rank} is outside 0 to {self.count - 1}"
            raise InputError(message)

        kept, tables = list[int](), self._tables
        for layer in range(self.layers):
            position = len(kept)
            if position == self.depth:
                break
            taking = sum(table.taking(position, layer) for table in tables)
            if rank < taking:
                kept.append(layer)
                tables = [table for table in tables if table.allowed[position][layer]]
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
        return min(table.closest(cost) for table in self._tables)[1]

    # --- Optuna's parameters

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
