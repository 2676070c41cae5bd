"""The leaderboard as SQL views, the same text on SQLite and PostgreSQL."""

LEADERBOARD = """
CREATE VIEW leaderboard AS
SELECT
    study, depth,
    rank() OVER (PARTITION BY study, depth ORDER BY mean DESC) AS rank,
    subset, mean, seeds, trials, lowest, highest, origin, train_seconds, finished_at
FROM (
    SELECT
        s.name AS study,
        t.depth AS depth,
        t.subset AS subset,
        avg(t.mean) AS mean,
        count(t.mean) AS seeds,
        count(*) AS trials,
        min(t.mean) AS lowest,
        max(t.mean) AS highest,
        min(t.origin) AS origin,
        avg(CASE WHEN t.state = 'complete' THEN t.train_seconds END) AS train_seconds,
        max(t.finished_at) AS finished_at
    FROM search_trials AS t
    JOIN search_studies AS s ON s.id = t.study_id
    GROUP BY s.name, t.depth, t.subset
    HAVING count(t.mean) > 0
) AS scored
"""

LEADERBOARD_BY_TASK = """
CREATE VIEW leaderboard_by_task AS
SELECT
    l.study AS study, l.depth AS depth, l.rank AS rank, l.subset AS subset,
    k.task AS task, avg(k.score) AS score, count(*) AS seeds
FROM leaderboard AS l
JOIN search_studies AS s ON s.name = l.study
JOIN search_trials AS t
    ON t.study_id = s.id AND t.subset = l.subset AND t.state = 'complete'
JOIN search_task_scores AS k ON k.trial_id = t.id
GROUP BY l.study, l.depth, l.rank, l.subset, k.task
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

VIEWS = {
    "leaderboard": LEADERBOARD,
    "leaderboard_by_task": LEADERBOARD_BY_TASK,
    "query_scores": QUERY_SCORES,
}
