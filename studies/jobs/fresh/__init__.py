"""Predictors judged on schedules measured again from other noise."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"FreshResult": "result", "FreshSettings": "settings", "fresh": "job"})
