"""Predictors compared by one protocol."""
