"""A saved predictor judged on schedules that it has not seen."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"EvaluateResult": "result", "EvaluateSettings": "settings", "evaluate": "job"})
