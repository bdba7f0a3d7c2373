"""Images of one schedule, and their score."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"SampleResult": "result", "SampleSettings": "settings", "sample": "job"})
