"""The command ``omsdpm-bench``: one file a command or group of commands.

Nothing here imports torch, pandas or scikit-learn before a command needs it, so that
``--help`` and ``list`` answer at once.
"""

from omsdpm.threads import wait_briefly
from studies.cli._root import main

wait_briefly()

__all__ = ["main"]
