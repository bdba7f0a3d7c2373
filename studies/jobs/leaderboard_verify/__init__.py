"""Rows of a leaderboard, sampled again."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"VerifyResult": "result", "VerifySettings": "settings", "verify": "job"})
