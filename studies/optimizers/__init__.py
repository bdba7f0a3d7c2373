"""Optimizers: who proposes schedules, and the book that a search keeps."""
