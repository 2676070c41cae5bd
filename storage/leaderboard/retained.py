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

# Once per depth, and not per subset: SQLite does not merge a join into the right side of another.
REFERENCE_JOIN = f"""
    LEFT JOIN (
        SELECT
            with_variance.*,
            CASE WHEN mean * mean > quantile * quantile * w
                THEN mean * mean - quantile * quantile * w END AS p
        FROM (
            SELECT
                of_depth.*,
                coalesce(
                    query_variance + reference_seed_variance / seeds,
                    query_variance, reference_seed_variance / seeds
                ) AS w
            FROM (
                SELECT
                    d.study_id AS study_id, d.depth AS depth, nullif(d.quantile, 0) AS quantile,
                    ref.subset AS subset, ref.mean AS mean, ref.seeds AS seeds,
                    coalesce(d.seed_variance, rd.seed_variance) AS seed_variance,
                    coalesce(rd.seed_variance, d.seed_variance) AS reference_seed_variance,
                    CASE
                        WHEN ref.variance_seeds = ref.seeds THEN ref.variance
                        ELSE {variance_of_mean("ref.study_id", "ref.subset")}
                    END AS query_variance
                FROM search_depths AS d
                JOIN search_studies AS rs ON rs.id = d.study_id
                JOIN search_depths AS rd ON rd.study_id = rs.id AND rd.depth = rs.layers
                JOIN search_standings AS ref ON ref.study_id = rs.id AND ref.depth = rs.layers
                WHERE ref.mean > 0
            ) AS of_depth
        ) AS with_variance
    ) AS whole ON whole.study_id = x.study_id AND whole.depth = x.depth"""
"""Join of standings `x` to the reference `whole`: the one subset that keeps all layers."""

# a stored variance counts only if it was computed from the seeds of today
REFERENCE_COLUMNS = f"""
        whole.subset AS reference, whole.mean AS reference_mean, whole.p AS p,
        whole.quantile * whole.quantile AS z2, whole.seed_variance / x.seeds AS own_seed_variance,
        whole.query_variance AS reference_query_variance,
        CASE
            WHEN x.reference_variance_seeds = x.seeds AND x.reference_seeds = whole.seeds
                THEN x.reference_variance
            WHEN whole.subset <> x.subset
                THEN {variance_of_difference("x.study_id", "x.subset", "whole.subset")}
        END AS query_reference_variance"""
"""Columns of one standing that the ratio needs, with `REFERENCE_JOIN`; z2 is z^2."""

MOMENT_COLUMNS = """
        coalesce(query_variance + own_seed_variance, query_variance, own_seed_variance) AS v,
        coalesce(
            (query_variance + reference_query_variance - query_reference_variance) / 2,
            CASE WHEN query_variance IS NULL AND reference_query_variance IS NULL THEN 0.0 END
        ) AS c"""
"""The variance v and the covariance c."""

QUADRATIC_COLUMNS = """
        mean * reference_mean - z2 * c AS q, mean * mean - z2 * v AS s"""
"""The coefficients q and s of the quadratic inequality."""

_ROOT = "sqrt(abs(q * q - p * s))"  # not below 0 but by rounding

RETAINED_COLUMNS = f"""
    mean / reference_mean AS retained,
    CASE WHEN subset = reference THEN 1.0 ELSE (q - {_ROOT}) / p END AS retained_low,
    CASE WHEN subset = reference THEN 1.0 ELSE (q + {_ROOT}) / p END AS retained_high"""
"""The ratio and its interval; NULL where they are unknown."""
