"""The leaderboard: rankings with errors and ties, comparisons, and the progress of studies."""

from storage.leaderboard.comparison import MeasuredSubset, read_measured
from storage.leaderboard.ranking import (
    Row,
    best_per_depth,
    list_attempts,
    mean_by_subset,
    rank_by_set,
    rank_by_task,
    rank_depths,
    rank_subsets,
)
from storage.leaderboard.seeds import read_seed_variance
from storage.leaderboard.status import DepthStatus, depth_statuses
from storage.leaderboard.ties import CONFIDENCE

__all__ = [
    "CONFIDENCE",
    "DepthStatus",
    "MeasuredSubset",
    "Row",
    "best_per_depth",
    "depth_statuses",
    "list_attempts",
    "mean_by_subset",
    "rank_by_set",
    "rank_by_task",
    "rank_depths",
    "rank_subsets",
    "read_measured",
    "read_seed_variance",
]
