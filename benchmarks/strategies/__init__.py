"""Strategies: schedules that a user has without predictor or search, one strategy a file."""
