"""Metrics: what images are scored with, found by name, ours and anybody's."""

from omsdpm.scoring.metrics.base import METRICS, Metric
from omsdpm.scoring.metrics.context import Context
from omsdpm.scoring.metrics.opening import OpenMetric, make_metric, metric_names, score_name
from omsdpm.scoring.metrics.several import OpenMetrics, Score

__all__ = [
    "METRICS",
    "Context",
    "Metric",
    "OpenMetric",
    "OpenMetrics",
    "Score",
    "make_metric",
    "metric_names",
    "score_name",
]
