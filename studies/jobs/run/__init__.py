"""The main job: fit or open a predictor, search on it, sample the winners."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"RunResult": "result", "RunSettings": "settings", "run": "job"})
