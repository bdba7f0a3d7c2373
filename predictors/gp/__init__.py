"""Gaussian processes over schedules."""
