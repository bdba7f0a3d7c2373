"""Leaderboards of many runs as one, ranked."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"LeaderboardResult": "result", "LeaderboardSettings": "settings", "leaderboard": "job"})
