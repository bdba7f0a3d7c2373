"""A released dataset converted into ours."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"ImportResult": "job", "ImportSettings": "settings", "import_dataset": "job"})
