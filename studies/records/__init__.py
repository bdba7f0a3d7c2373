"""What is written down: appended tables, run folders, environments, progress."""
