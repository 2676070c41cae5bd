"""SQL expressions for the variance of a mean and of a difference of two means.

Notation
    a_t     share of task t in the mean; the shares add up to 1, and are 1 / m where m tasks count
            alike
    n_t     number of queries of the task
    s_t^2   sample variance of their scores
    x_t     score of the task, the mean over its queries
    M       mean over tasks, sum over t of a_t x_t

Queries vary within their task, and the tasks are given, so the mean has the variance

    sum over t of a_t^2 s_t^2 / n_t

Where a task has a single query, or where only scores by task are known, the tasks are the units:
independent draws from one population with variance sigma^2, so that M has the variance
sigma^2 sum a_t^2. As E[sum a_t (x_t - M)^2] = sigma^2 (1 - sum a_t^2), the estimate without bias is

    sum a_t (x_t - M)^2 * sum a_t^2 / (1 - sum a_t^2)

which for equal shares is the sample variance of the x_t over m. NULL where a single value says
nothing.
"""

# the shares of the tasks at hand need not add up to 1, and are
# 1 each in a study that does not list its tasks
_VARIANCE = """
    SELECT CASE
        WHEN min(n) > 1 THEN
            sum(share * share * abs(squares - total * total / n) / nullif(n - 1, 0) / n)
            / sum(share) / sum(share)
        WHEN count(*) > 1 THEN
            abs(
                sum(share * mean * mean) / sum(share)
                - sum(share * mean) * sum(share * mean) / sum(share) / sum(share)
            )
            * sum(share * share)
            / nullif(sum(share) * sum(share) - sum(share * share), 0)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean, coalesce(max(k.share), 1.0) AS share
        FROM ({values}) AS per_query
        LEFT JOIN search_tasks AS k ON k.study_id = {study} AND k.task = per_query.task
        GROUP BY per_query.task
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
        _VARIANCE.format(values=form.format(value=value, study=study, subsets=subsets), study=study)
        for form in (_BY_QUERY, _BY_TASK)
    ]
    return "coalesce(({}), ({}))".format(*forms)
