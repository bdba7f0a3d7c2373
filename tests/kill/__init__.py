"""Kills at file operations: ``python -m tests.kill``."""
