"""The leaderboard as SQL views, the same text on SQLite and PostgreSQL."""

from storage.leaderboard.retained import (
    MOMENT_COLUMNS,
    QUADRATIC_COLUMNS,
    REFERENCE_COLUMNS,
    REFERENCE_JOIN,
    RETAINED_COLUMNS,
)
from storage.leaderboard.variances import variance_of_difference, variance_of_mean

_ROUNDING = "1e-9"  # of a difference of means: 0.505 - 0.5 is not quite 0.005

# A stored variance counts only if it was computed from the seeds and the leader of today.
_SCORED = f"""
    SELECT
        s.name AS study, s.margin AS margin, x.depth AS depth, x.subset AS subset,
        x.gaps AS gaps, x.layers AS layers,
        x.mean AS mean, x.seeds AS seeds, x.lowest AS lowest, x.highest AS highest,
        coalesce(x.sampler, x.origin) AS origin,
        x.train_seconds AS train_seconds, x.finished_at AS finished_at,
        d.leader AS leader, d.critical AS critical, best.mean AS leader_mean,
        d.seed_variance / x.seeds AS seed_variance,
        d.seed_variance * (1.0 / x.seeds + 1.0 / d.leader_seeds) AS seed_difference_variance,
        CASE
            WHEN x.variance_seeds = x.seeds THEN x.variance
            ELSE {variance_of_mean("x.study_id", "x.subset")}
        END AS query_variance,
        CASE
            WHEN x.compared_to = d.leader AND x.compared_seeds = d.leader_seeds
                AND x.difference_seeds = x.seeds THEN x.difference_variance
            ELSE {variance_of_difference("x.study_id", "x.subset", "d.leader")}
        END AS query_difference_variance,{REFERENCE_COLUMNS}
    FROM search_standings AS x
    JOIN search_studies AS s ON s.id = x.study_id
    JOIN search_depths AS d ON d.study_id = x.study_id AND d.depth = x.depth
    JOIN search_standings AS best ON best.study_id = d.study_id AND best.subset = d.leader
{REFERENCE_JOIN}"""

_WITH_TIES = f"""
SELECT
    study, margin, depth, subset, mean, seeds, standard_error, query_error, seed_error,
    leader, leader_mean, mean - leader_mean AS difference, difference_error,
    CASE
        WHEN subset = leader THEN 1
        WHEN difference_error IS NULL THEN NULL
        WHEN leader_mean - mean <= critical * difference_error THEN 1
        ELSE 0
    END AS tied,
    gaps, layers, lowest, highest, origin, train_seconds, finished_at,{RETAINED_COLUMNS}
FROM (
    SELECT
        moments.*,{QUADRATIC_COLUMNS},
        sqrt(query_variance) AS query_error,
        sqrt(seed_variance) AS seed_error,
        sqrt(coalesce(query_variance + seed_variance, query_variance, seed_variance))
            AS standard_error,
        CASE
            WHEN subset = leader THEN 0.0
            ELSE sqrt(coalesce(
                query_difference_variance + seed_difference_variance,
                query_difference_variance, seed_difference_variance
            ))
        END AS difference_error
    FROM (
        SELECT
            scored.*,{MOMENT_COLUMNS}
        FROM ({_SCORED}) AS scored
    ) AS moments
) AS with_errors
"""

LEADERBOARD = f"""
CREATE VIEW leaderboard AS
SELECT
    study, depth,
    rank() OVER (PARTITION BY study, depth ORDER BY mean DESC) AS rank,
    subset, mean, seeds, standard_error, query_error, seed_error,
    difference, difference_error, tied, retained, retained_low, retained_high,
    gaps, lowest, highest, origin, train_seconds, finished_at
FROM ({_WITH_TIES}) AS ranked
"""

_PICK = f"""
SELECT
    study, depth, count(*) AS subsets, max(leader) AS leader, max(leader_mean) AS leader_mean,
    CASE WHEN count(tied) = count(*) THEN sum(tied) END AS tied,
    max(CASE WHEN place = 1 THEN subset END) AS pick,
    max(CASE WHEN place = 1 THEN mean END) AS pick_mean,
    max({{margin}}) AS margin,
    max(CASE WHEN subset = leader THEN retained END) AS retained,
    max(CASE WHEN subset = leader THEN retained_low END) AS retained_low,
    max(CASE WHEN subset = leader THEN retained_high END) AS retained_high
FROM (
    SELECT
        study, margin, depth, subset, mean, tied, leader, leader_mean,
        retained, retained_low, retained_high,
        row_number() OVER (
            PARTITION BY study, depth
            ORDER BY
                CASE
                    WHEN tied = 1 AND leader_mean - mean <= {{margin}} + {_ROUNDING} THEN 0
                    ELSE 1
                END,
                gaps, layers
        ) AS place
    FROM ({_WITH_TIES}) AS ranked
) AS placed
GROUP BY study, depth
"""


def pick_by(margin: str) -> str:
    """Return SQL for the leader, the ties and the pick of each depth.

    The pick is the simplest subset that is tied and within the margin of the leader's mean: the
    fewest breaks between layers, then the lowest layers. The leader itself is always both.

    Args:
        margin: SQL for the margin; `margin` is the study's own.
    """
    return _PICK.format(margin=margin)


BEST_PER_DEPTH = f"CREATE VIEW best_per_depth AS {pick_by('margin')}"

_TASKS = """
    SELECT
        s.name AS study, l.study_id AS study_id, l.depth AS depth, l.rank AS rank,
        l.subset AS subset, k.task AS task, avg(k.score) AS score, count(*) AS seeds
    FROM (
        SELECT study_id, depth, subset,
               rank() OVER (PARTITION BY study_id, depth ORDER BY mean DESC) AS rank
        FROM search_standings
    ) AS l
    JOIN search_studies AS s ON s.id = l.study_id
    JOIN search_trials AS t
        ON t.study_id = l.study_id AND t.subset = l.subset AND t.state = 'complete'
    JOIN search_task_scores AS k ON k.trial_id = t.id
    GROUP BY s.name, l.study_id, l.depth, l.rank, l.subset, k.task
"""

LEADERBOARD_BY_TASK = f"""
CREATE VIEW leaderboard_by_task AS
SELECT study, depth, rank, subset, task, score, seeds
FROM ({_TASKS}) AS tasks
"""

# A study that does not list its tasks has one set, in which they count alike.
LEADERBOARD_BY_SET = f"""
CREATE VIEW leaderboard_by_set AS
SELECT
    study, depth, rank, subset, test_set, avg(score) AS mean, max(seeds) AS seeds,
    count(*) AS tasks,
    sum(share) / sum(sum(share)) OVER (PARTITION BY study, depth, subset) AS weight
FROM (
    SELECT tasks.*, coalesce(k.test_set, 'test') AS test_set, coalesce(k.share, 1.0) AS share
    FROM ({_TASKS}) AS tasks
    LEFT JOIN search_tasks AS k ON k.study_id = tasks.study_id AND k.task = tasks.task
) AS shared
GROUP BY study, depth, rank, subset, test_set
"""

QUERY_SCORES = """
CREATE VIEW query_scores AS
SELECT
    s.name AS study, t.depth AS depth, t.subset AS subset, t.seed AS seed,
    q.task AS task, q.query AS query, r.score AS score
FROM search_query_scores AS r
JOIN search_queries AS q ON q.id = r.query_id
JOIN search_trials AS t ON t.id = r.trial_id
JOIN search_studies AS s ON s.id = t.study_id
"""

ATTEMPTS = """
CREATE VIEW attempts AS
SELECT
    s.name AS study, t.depth AS depth, t.subset AS subset, t.seed AS seed, a.token AS attempt,
    a.owner AS worker, a.started_at AS started_at, a.ended_at AS ended_at,
    coalesce(a.outcome, 'running') AS outcome, a.reason AS reason
FROM search_attempts AS a
JOIN search_trials AS t ON t.id = a.trial_id
JOIN search_studies AS s ON s.id = t.study_id
"""

SCREENS = """
CREATE VIEW screens AS
SELECT
    s.name AS study, x.depth AS depth, x.subset AS subset, x.weights AS weights,
    x.ndcg AS ndcg, x.agreement AS agreement, k.mean AS mean, k.seeds AS seeds
FROM search_screens AS x
JOIN search_studies AS s ON s.id = x.study_id
LEFT JOIN search_standings AS k ON k.study_id = x.study_id AND k.subset = x.subset
"""

SCREEN_FITS = """
CREATE VIEW screen_fits AS
SELECT
    s.name AS study, f.depth AS depth, f.weights AS weights, f.measure AS measure,
    f.subsets AS subsets, f.spearman AS spearman, f.spearman_low AS spearman_low,
    f.spearman_high AS spearman_high, f.recall AS recall, f.recall_low AS recall_low,
    f.recall_high AS recall_high, f.measured_at AS measured_at
FROM search_screen_fits AS f
JOIN search_studies AS s ON s.id = f.study_id
"""

# The speeds that were measured of each subset, with its cost; `age` is 1 for the latest of all
# subsets of the depth that cost the same.
_SPEEDS = """
    SELECT
        v.*, c.parameters AS parameters, c.query_flops AS query_flops,
        c.document_flops AS document_flops,
        row_number() OVER (
            PARTITION BY v.study_id, v.depth, c.parameters, c.query_flops, c.document_flops
            ORDER BY v.measured_at DESC, v.device, v.subset
        ) AS age
    FROM search_speeds AS v
    JOIN search_costs AS c ON c.study_id = v.study_id AND c.subset = v.subset
"""

# The price of a depth is its FLOPs per token of a document, or its number of layers where the FLOPs
# of some depth are unknown. A depth is Pareto-optimal unless another has at least its mean at no
# higher price, and is better in one of the two.
DEPTHS = f"""
CREATE VIEW depths AS
SELECT
    study, depth, reference, leader, mean, retained, retained_low, retained_high, pick, pick_mean,
    parameters, embedding_parameters, layer_parameters, bytes, query_flops, document_flops,
    speedup, speedup_low, speedup_high, tokens_per_second,
    device, threads, batch_size, precision, rounds, measured_at,
    CASE WHEN best_at_most > mean OR best_below >= mean THEN 0 ELSE 1 END AS pareto_optimal
FROM (
    SELECT
        priced.*,
        max(mean) OVER (
            PARTITION BY study ORDER BY price
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS best_at_most,
        max(mean) OVER (
            PARTITION BY study ORDER BY price
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP
        ) AS best_below
    FROM (
        SELECT
            b.study AS study, b.depth AS depth,
            CASE WHEN b.depth = s.layers THEN 1 ELSE 0 END AS reference,
            b.leader AS leader, b.leader_mean AS mean, b.retained AS retained,
            b.retained_low AS retained_low, b.retained_high AS retained_high,
            b.pick AS pick, b.pick_mean AS pick_mean,
            c.parameters AS parameters, c.embedding_parameters AS embedding_parameters,
            c.layer_parameters AS layer_parameters, c.bytes AS bytes,
            c.query_flops AS query_flops, c.document_flops AS document_flops,
            v.speedup AS speedup, v.speedup_low AS speedup_low, v.speedup_high AS speedup_high,
            v.tokens_per_second AS tokens_per_second, v.device AS device, v.threads AS threads,
            v.batch_size AS batch_size, v.precision AS precision, v.rounds AS rounds,
            v.measured_at AS measured_at,
            CASE
                WHEN count(c.document_flops) OVER (PARTITION BY b.study)
                    = count(*) OVER (PARTITION BY b.study) THEN c.document_flops
                ELSE b.depth
            END AS price
        FROM best_per_depth AS b
        JOIN search_studies AS s ON s.name = b.study
        LEFT JOIN search_costs AS c ON c.study_id = s.id AND c.subset = b.leader
        LEFT JOIN ({_SPEEDS}) AS v
            ON v.study_id = s.id AND v.depth = b.depth AND v.parameters = c.parameters
            AND v.query_flops = c.query_flops AND v.document_flops = c.document_flops
            AND v.age = 1
    ) AS priced
) AS ordered
"""

SPEEDS = """
CREATE VIEW speeds AS
SELECT
    s.name AS study, v.depth AS depth, v.subset AS subset, v.device AS device,
    v.speedup AS speedup, v.speedup_low AS speedup_low, v.speedup_high AS speedup_high,
    v.tokens_per_second AS tokens_per_second,
    v.reference_tokens_per_second AS reference_tokens_per_second, v.rounds AS rounds,
    v.documents AS documents, v.batch_size AS batch_size, v.threads AS threads,
    v.precision AS precision, v.measured_at AS measured_at
FROM search_speeds AS v
JOIN search_studies AS s ON s.id = v.study_id
"""

VIEWS = {
    "leaderboard": LEADERBOARD,
    "best_per_depth": BEST_PER_DEPTH,
    "leaderboard_by_task": LEADERBOARD_BY_TASK,
    "leaderboard_by_set": LEADERBOARD_BY_SET,
    "query_scores": QUERY_SCORES,
    "attempts": ATTEMPTS,
    "screens": SCREENS,
    "screen_fits": SCREEN_FITS,
    "depths": DEPTHS,
    "speeds": SPEEDS,
}
