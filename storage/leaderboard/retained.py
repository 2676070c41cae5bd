"""SQL expressions for the share of the reference's mean that a subset retains, with its interval.

Notation
    x, y    means of the subset and of the reference
    v, w    their variances: from the choice of queries and from the seeds
    c       their covariance: the queries are the same, the seeds are not
    z       standard errors on either side of a 95 % interval: a quantile of Student's distribution
    r       the ratio of the true means, estimated by x / y

For the true ratio the difference x - r y has mean 0 and variance v - 2 r c + r^2 w, so that

    (x - r y)^2 <= z^2 (v - 2 r c + r^2 w)

holds with probability 0.95. The r for which it does are the interval of Fieller (1954, "Some
problems in interval estimation", Journal of the Royal Statistical Society B 16). As a quadratic
inequality in r it reads

    p r^2 - 2 q r + s <= 0,   p = y^2 - z^2 w,   q = x y - z^2 c,   s = x^2 - z^2 v
    r = (q -/+ sqrt(q^2 - p s)) / p

and is an interval where p > 0: where y itself can be told apart from 0. Elsewhere it is NULL.

With V(.) for a variance that stems from the queries, the paired difference gives the covariance,

    c = (V(x) + V(y) - V(x - y)) / 2

Were seeds repeated at one of the two depths only, their variance stands for that of the other, too.
"""

from storage.leaderboard.variances import variance_of_difference, variance_of_mean

REFERENCE_JOINS = """
    LEFT JOIN search_standings AS ref ON ref.study_id = x.study_id AND ref.depth = s.layers
    LEFT JOIN search_depths AS rd ON rd.study_id = x.study_id AND rd.depth = s.layers"""
"""Joins to the standing `ref` of the reference and to its depth `rd`, from standings `x`, studies
`s` and depths `d`: all layers can be kept in one way only.
"""

# a stored variance counts only if it was computed from the seeds of today
REFERENCE_COLUMNS = f"""
        ref.subset AS reference, ref.mean AS reference_mean, d.quantile AS quantile,
        CASE WHEN d.seed_variance IS NULL THEN rd.seed_variance ELSE d.seed_variance END
            / x.seeds AS own_seed_variance,
        CASE WHEN rd.seed_variance IS NULL THEN d.seed_variance ELSE rd.seed_variance END
            / ref.seeds AS reference_seed_variance,
        CASE
            WHEN ref.variance_seeds = ref.seeds THEN ref.variance
            WHEN ref.subset IS NOT NULL THEN {variance_of_mean("x.study_id", "ref.subset")}
        END AS reference_query_variance,
        CASE
            WHEN x.reference_variance_seeds = x.seeds AND x.reference_seeds = ref.seeds
                THEN x.reference_variance
            WHEN ref.subset <> x.subset
                THEN {variance_of_difference("x.study_id", "x.subset", "ref.subset")}
        END AS query_reference_variance"""
"""Columns of one standing that the ratio needs, with the joins of `REFERENCE_JOINS`."""

MOMENT_COLUMNS = """
        coalesce(query_variance + own_seed_variance, query_variance, own_seed_variance) AS v,
        coalesce(
            reference_query_variance + reference_seed_variance,
            reference_query_variance, reference_seed_variance
        ) AS w,
        CASE
            WHEN query_variance IS NULL AND reference_query_variance IS NULL THEN 0.0
            ELSE (query_variance + reference_query_variance - query_reference_variance) / 2
        END AS c"""
"""The variances v and w, and the covariance c."""

QUADRATIC_COLUMNS = """
        reference_mean * reference_mean - quantile * quantile * w AS p,
        mean * reference_mean - quantile * quantile * c AS q,
        mean * mean - quantile * quantile * v AS s"""
"""The coefficients p, q and s of the quadratic inequality."""

_ROOT = "sqrt(CASE WHEN q * q > p * s THEN q * q - p * s ELSE 0.0 END)"  # never below 0 by rounding

RETAINED_COLUMNS = f"""
    CASE WHEN reference_mean > 0 THEN mean / reference_mean END AS retained,
    CASE
        WHEN reference_mean > 0 AND subset = reference THEN 1.0
        WHEN quantile > 0 AND reference_mean > 0 AND p > 0 THEN (q - {_ROOT}) / p
    END AS retained_low,
    CASE
        WHEN reference_mean > 0 AND subset = reference THEN 1.0
        WHEN quantile > 0 AND reference_mean > 0 AND p > 0 THEN (q + {_ROOT}) / p
    END AS retained_high"""
"""The ratio and its interval; NULL where they are unknown."""
