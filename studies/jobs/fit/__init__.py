"""A predictor fitted on measured schedules and saved."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"FitResult": "result", "FitSettings": "settings", "fit": "job"})
