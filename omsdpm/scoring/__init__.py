"""From schedules to scores: sampling, measurements, metrics and features."""
