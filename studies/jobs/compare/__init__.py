"""Predictors compared by one protocol."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"CompareSettings": "settings", "Comparison": "result", "compare": "job"})
