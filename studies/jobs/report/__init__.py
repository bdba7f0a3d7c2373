"""Runs as one page that opens offline."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"ReportResult": "result", "ReportSettings": "settings", "report": "job"})
