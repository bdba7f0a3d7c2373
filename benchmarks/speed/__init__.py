"""Speed as ratios: each script runs both sides in one process and prints a table."""
