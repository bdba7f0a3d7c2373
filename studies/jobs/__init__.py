"""Jobs: functions from settings to a result that is written and read back.

Each has a room: settings, the job, its result, and the table and plot where it has them.
A command is a thin front to a job, and so is a notebook.

Example:
    >>> from studies.jobs.run import RunResult, RunSettings, run
    >>> result = run(RunSettings(benchmark="digits-tab", predictor="lstm[updates=800]"))
    >>> RunResult.read(result.folder) == result
    True
"""
