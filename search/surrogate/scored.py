"""Scores of this depth and of others in units of their own, and what they say of amplitudes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.surrogate.covariance import COMPONENTS, Rows, between
from search.surrogate.features import Array
from search.surrogate.learning import Amplitudes, Prior, Sample, learn
from search.surrogate.process import Vector
from search.surrogate.transfer import Relative
from search.surrogate.trials import FLAT, Trials

_PRIOR = tuple(math.log(scale) for scale in (0.5, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3))  # of COMPONENTS
_HINT = math.log(0.4)
_EVIDENCE = 2.0  # by how much a hint must raise the logarithm of the posterior density
_KINSHIPS = 4  # of what another depth may share, so much matters: layers, neighbours, pairs, shape
_TRUST = 0.7  # what other depths have in common with this one while nothing is known
_LEARN_FROM = 250  # subsets that amplitudes are learned from: more change them little


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores that a process is conditioned on, each depth's with mean 0 and in a unit of its own.

    Attributes:
        parts: rows of each depth, this one's last.
        sizes: number of scored subsets in each part.
        scores: (n,), of each subset.
        counts: (n,), trials behind each.
        squares: squared deviations of all trials from the means of their subsets, summed.
        centre: mean of the scores of this depth; 0 without any.
        scale: the unit of this depth: how far a trial usually is from the mean.
    """

    parts: tuple[Rows, ...]
    sizes: tuple[int, ...]
    scores: Vector
    counts: Vector
    squares: float
    centre: float
    scale: float

    @classmethod
    def of(cls, rows: Rows, trials: Trials, others: Sequence[Relative]) -> "Scored":
        """Put the trials of all depths together.

        Args:
            rows: the scored subsets of `trials`, encoded.
            trials: of this depth.
            others: of other depths.
        """
        every = [*(other.trials for other in others), trials]
        means = [float(one.means.mean()) if len(one) else 0.0 for one in every]
        spreads = [one.spread for one in every]
        usual = float(np.mean([spread for spread in spreads if spread > FLAT] or [FLAT]))
        units = [spread if spread > FLAT else usual for spread in spreads]
        each = list(zip(every, means, units, strict=True))
        return cls(
            (*(other.rows(rows.hints.shape[1]) for other in others), rows),
            tuple(len(one) for one in every),
            np.concatenate([(one.means - mean) / unit for one, mean, unit in each]),
            np.concatenate([one.counts for one in every]),
            math.fsum(float(one.squares.sum()) / unit**2 for one, _, unit in each),
            means[-1],
            units[-1],
        )

    def amplitudes(self, components: Sequence[Array], *, kin: bool = True) -> Amplitudes:
        """The amplitudes; a hint gets one above 0 only if the scores are likelier with it.

        Args:
            components: between the parts, see `across`.
            kin: whether depths may have anything in common.
        """

        def attempt(chosen: Sequence[int]) -> Amplitudes:
            prior = Prior((*_PRIOR, *[_HINT] * (len(chosen) - len(_PRIOR))))
            some = [components[i] for i in chosen]
            sample = Sample(some, self.scores, self.counts, self.squares, self.sizes)
            return learn(sample, prior, kin=kin)

        kept = list(range(len(COMPONENTS)))
        found = attempt(kept)
        for hint in range(len(COMPONENTS), len(components)):
            other = attempt([*kept, hint])
            if other.loss < found.loss - _EVIDENCE:
                kept, found = [*kept, hint], other
        variances, kinship = np.zeros(len(components)), np.zeros((len(self.sizes), len(components)))
        variances[kept], kinship[:, kept] = found.variances, found.kinship
        return replace(found, variances=variances, kinship=kinship)


def across(parts: Sequence[Rows]) -> list[Array]:
    """Each component between the rows of all depths, (n, n) each."""
    blocks = [[between(a, b) for b in parts] for a in parts]
    number = len(blocks[0][0])
    return [np.block([[block[i] for block in row] for row in blocks]) for i in range(number)]


def learned(
    rows: Rows, trials: Trials, others: Sequence[Relative], *, trusting: bool
) -> tuple[Scored, Amplitudes]:
    """What to condition on, and the amplitudes.

    Other depths are left out unless the scores of this one bear them out. They must raise the
    logarithm of the posterior density by half the logarithm of the number of scores for each way
    in which they may be kin (the criterion of Schwarz 1978): what is shared by chance does not
    grow with the trials, what is truly shared does.

    Args:
        rows: the scored subsets of `trials`, encoded.
        trials: of this depth.
        others: of other depths.
        trusting: whether others are believed anyway.
    """
    places = np.linspace(0, len(trials) - 1, min(_LEARN_FROM, len(trials)))
    some = np.unique(places.astype(np.intp))
    part, whole = (rows.take(some), trials.take(some)), (rows, trials)
    if others:
        scored = Scored.of(*part, others)
        components = across(scored.parts)
        joint = scored.amplitudes(components)
        if trusting:
            joint = replace(joint, kinship=np.maximum(joint.kinship, _TRUST))
            return Scored.of(*whole, others), joint
        apart = scored.amplitudes(components, kin=False)
        if apart.loss - joint.loss > _KINSHIPS * math.log(len(trials)) / 2:
            return Scored.of(*whole, others), joint
    scored = Scored.of(*part, ())
    return Scored.of(*whole, ()), scored.amplitudes(across(scored.parts))
