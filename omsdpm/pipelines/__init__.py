"""Back into the pipeline: a found schedule stands where a diffusers pipeline has its denoiser and its scheduler.

Example:
    >>> applied = apply(pipe, "schedule.json")  # `omsdpm-bench export RUN --budget MS --to json --output schedule.json`
    >>> image = pipe("a cat").images[0]
    >>> applied.undo()
"""

from omsdpm.pipelines.apply import Applied, apply
from omsdpm.pipelines.file import ScheduleFile

__all__ = ["Applied", "ScheduleFile", "apply"]
