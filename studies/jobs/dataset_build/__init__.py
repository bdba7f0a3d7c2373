"""A benchmark's folder measured: dataset, baselines, card."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"BuildResult": "job", "BuildSettings": "settings", "build": "job"})
