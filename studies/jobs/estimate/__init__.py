"""What building a dataset will cost."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"EstimateResult": "result", "EstimateSettings": "settings", "estimate": "job"})
