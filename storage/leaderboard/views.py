"""The leaderboard as SQL views, the same text on SQLite and PostgreSQL."""

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
        END AS query_difference_variance
    FROM search_standings AS x
    JOIN search_studies AS s ON s.id = x.study_id
    JOIN search_depths AS d ON d.study_id = x.study_id AND d.depth = x.depth
    JOIN search_standings AS best ON best.study_id = d.study_id AND best.subset = d.leader
"""

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
    gaps, layers, lowest, highest, origin, train_seconds, finished_at
FROM (
    SELECT
        scored.*,
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
    FROM ({_SCORED}) AS scored
) AS with_errors
"""

LEADERBOARD = f"""
CREATE VIEW leaderboard AS
SELECT
    study, depth,
    rank() OVER (PARTITION BY study, depth ORDER BY mean DESC) AS rank,
    subset, mean, seeds, standard_error, query_error, seed_error,
    difference, difference_error, tied, gaps, lowest, highest, origin, train_seconds, finished_at
FROM ({_WITH_TIES}) AS ranked
"""

_PICK = f"""
SELECT
    study, depth, count(*) AS subsets, max(leader) AS leader, max(leader_mean) AS leader_mean,
    CASE WHEN count(tied) = count(*) THEN sum(tied) END AS tied,
    max(CASE WHEN place = 1 THEN subset END) AS pick,
    max(CASE WHEN place = 1 THEN mean END) AS pick_mean,
    max({{margin}}) AS margin
FROM (
    SELECT
        study, margin, depth, subset, mean, tied, leader, leader_mean,
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

LEADERBOARD_BY_TASK = """
CREATE VIEW leaderboard_by_task AS
SELECT
    s.name AS study, l.depth AS depth, l.rank AS rank, l.subset AS subset,
    k.task AS task, avg(k.score) AS score, count(*) AS seeds
FROM (
    SELECT study_id, depth, subset,
           rank() OVER (PARTITION BY study_id, depth ORDER BY mean DESC) AS rank
    FROM search_standings
) AS l
JOIN search_studies AS s ON s.id = l.study_id
JOIN search_trials AS t
    ON t.study_id = l.study_id AND t.subset = l.subset AND t.state = 'complete'
JOIN search_task_scores AS k ON k.trial_id = t.id
GROUP BY s.name, l.depth, l.rank, l.subset, k.task
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

VIEWS = {
    "leaderboard": LEADERBOARD,
    "best_per_depth": BEST_PER_DEPTH,
    "leaderboard_by_task": LEADERBOARD_BY_TASK,
    "query_scores": QUERY_SCORES,
    "attempts": ATTEMPTS,
    "screens": SCREENS,
    "screen_fits": SCREEN_FITS,
}
