"""What the labels of each design are worth."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"DesignsResult": "result", "DesignsSettings": "settings", "designs": "job"})
