"""Tests; a package, so that `python -m tests.fuzz` finds these and no other tests that are installed."""
