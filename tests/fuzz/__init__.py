"""Malformed files of every kind, and what readers make of them; see ``python -m tests.fuzz --help``."""
