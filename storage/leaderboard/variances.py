"""SQL expressions for the variance of a mean and of a difference of two means.

Queries vary within their task, and the tasks are given, so a mean over m tasks with n_t queries
each, whose scores have the sample variance s_t^2, has the variance

    (1 / m^2) sum over t of s_t^2 / n_t

Where a task has a single query, or where only scores by task are known, the tasks are the units:
the sample variance of the task means over m. NULL where a single value says nothing.
"""

_VARIANCE = """
    SELECT CASE
        WHEN min(n) > 1 THEN
            sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM ({values}) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task"""

_BY_QUERY = """
            SELECT q.task AS task, {value} AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = {study} AND t.subset IN ({subsets}) AND t.state = 'complete'
            GROUP BY q.task, r.query_id"""

_BY_TASK = """
            SELECT r.task AS task, {value} AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = {study} AND t.subset IN ({subsets}) AND t.state = 'complete'
            GROUP BY r.task"""


def variance_of_mean(study: str, subset: str) -> str:
    """Return SQL for the variance of a subset's mean over the choice of queries.

    Args:
        study: SQL for the number of the study.
        subset: SQL for the key of the subset.
    """
    return _variance("avg(r.score)", study, subset)


def variance_of_difference(study: str, subset: str, leader: str) -> str:
    """Return SQL for the variance of the difference of two means, paired by the shared queries.

    Args:
        study: SQL for the number of the study.
        subset: SQL for the key of one subset.
        leader: SQL for the key of the other.
    """
    value = (
        f"avg(CASE WHEN t.subset = {subset} THEN r.score END)"
        f" - avg(CASE WHEN t.subset = {leader} THEN r.score END)"
    )
    return _variance(value, study, f"{subset}, {leader}")


def _variance(value: str, study: str, subsets: str) -> str:
    """Return SQL for the variance of `value`, by query where there are scores by query."""
    forms = [
        _VARIANCE.format(values=form.format(value=value, study=study, subsets=subsets))
        for form in (_BY_QUERY, _BY_TASK)
    ]
    return "coalesce(({}), ({}))".format(*forms)
