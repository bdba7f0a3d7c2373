"""Schedule datasets: measured schedules, the designs they come from, and their building."""

from omsdpm.dataset.dataset import SPLITS, ScheduleDataset

__all__ = ["SPLITS", "ScheduleDataset"]
