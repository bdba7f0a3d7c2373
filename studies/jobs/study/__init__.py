"""A matrix of benchmarks, optimizers, predictors and seeds: each cell once, and what beats what."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"StudyResult": "job", "StudySettings": "settings", "study": "job"})
