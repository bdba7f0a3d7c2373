"""The main job: fit, search, validate, write."""
