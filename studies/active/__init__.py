"""Search that spends labels where they decide: measure a few, fit, ask where it could be better, measure there."""

from omsdpm.dataset.labels import LabelStore
from studies.active.loop import ActiveSearch, LeftToSpend
from studies.active.start import start_design

__all__ = ["ActiveSearch", "LabelStore", "LeftToSpend", "start_design"]
