"""A search on somebody's zoo: labels, search, winners."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"SearchSettings": "settings", "search": "job"})
