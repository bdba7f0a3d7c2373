"""The winners of a run on seeds that nothing has seen."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"ConfirmResult": "result", "ConfirmSettings": "settings", "confirm": "job"})
