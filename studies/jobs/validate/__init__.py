"""A population sampled for real: all with few images, the best with many."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"ValidateResult": "result", "ValidateSettings": "settings", "validate": "job"})
