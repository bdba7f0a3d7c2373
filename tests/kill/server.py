"""Commands in processes of their own, forked from one that has imported all that they need."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.kill.operations import Operations

WARM = (
    "diffusers.models.unets.unet_2d", "torch", "numpy", "scipy.stats", "sklearn.base", "sklearn.datasets", "pandas",
    "pyarrow.parquet", "matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image", "xgboost", "rich.table",
    "rich.progress", "filelock", "safetensors.torch", "tomli_w", "torch._dynamo", "benchmarks.problem",
    "benchmarks.tabular", "benchmarks.building", "benchmarks.card", "benchmarks.landscape", "predictors.testing",
    "omsdpm.released", "omsdpm.zoo.profile", "omsdpm.zoo.train", "omsdpm.scoring.features.train_digits",
    "omsdpm.scoring.growing", "omsdpm.scoring.metrics", "omsdpm.scoring.sampler", "predictors.ridge", "predictors.gbdt",
    "studies.optimizers.random_search", "studies.cli._console", "studies.jobs.run.job", "studies.jobs.search.job",
    "studies.jobs.study.job", "studies.jobs.fit.job", "studies.jobs.evaluate.job", "studies.jobs.compare.job",
    "studies.jobs.report.job", "studies.jobs.sample.job", "studies.jobs.validate.job", "studies.jobs.confirm.job",
    "studies.jobs.leaderboard.job", "studies.jobs.leaderboard_verify.job", "studies.jobs.dataset_build.job",
    "studies.jobs.dataset_import.job", "studies.jobs.estimate.job", "studies.jobs.designs.job",
    "studies.jobs.fresh.job", "studies.jobs.report.page", "studies.jobs.report.plots",
)  # fmt: skip
"""Modules that take their time; importing them starts no thread and writes no file."""

SECONDS = 120
"""After which a command hangs."""


def warm() -> None:
    """Imports what commands need, once for all of them."""
    import matplotlib

    matplotlib.use("agg")
    for name in WARM:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    _hurry()


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal.
        operations: file operations that were counted; 0 for a killed one.
        output: what it printed, both streams.
    """

    code: int
    operations: int
    output: str

    @property
    def killed(self) -> bool:
        """Whether it came to the operation that it was to be killed at."""
        return self.code == -signal.SIGKILL


def in_child(function: Callable[[], Any]) -> Any:
    """What a function returns in a forked process; raises ``RuntimeError`` with its traceback if it fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = True, function()
        except BaseException:
            answer = False, traceback.format_exc()
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        good, value = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if not good:
        raise RuntimeError(value)
    return value


def command(words: Sequence[str], folder: Path, at: int = 0) -> Ended:
    """Runs ``omsdpm-bench`` with some words in a folder, in a process that is killed before an operation there.

    Args:
        words: after the program's name.
        folder: the current one of the command.
        at: before which file operation below it, from 1; 0 for none.
    """
    output, counted = folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.count")
    counted.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _run(words, folder, at, output, counted)
        os._exit(99)  # not reached
    _, status = os.waitpid(child, 0)
    operations = int(counted.read_text()) if counted.exists() else 0
    return Ended(os.waitstatus_to_exitcode(status), operations, output.read_text(errors="replace"))


def _run(words: Sequence[str], folder: Path, at: int, output: Path, counted: Path) -> None:
    code = 98
    try:
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for handle in (1, 2):
            os.dup2(stream, handle)
        os.chdir(folder)
        os.environ["OMSDPM_CACHE"] = str(folder.with_name("cache"))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        operations = Operations(folder, at)
        operations.watch()
        from studies.cli import main

        try:
            main(list(words), prog_name="omsdpm-bench")
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 97
        counted.write_text(str(operations.count))
    finally:
        import sys

        for stream_of in (sys.stdout, sys.stderr):
            stream_of.flush()
        os._exit(code)


def _hurry() -> None:
    """Less of what takes its time and writes no more for it, and checkpoints more often."""
    import matplotlib.figure

    import omsdpm.plugins
    import omsdpm.scoring.features.train_digits as digits
    import omsdpm.zoo.train as training

    training.CHECKPOINT_EVERY = 2
    digits.train_digit_network.__kwdefaults__["epochs"] = 1
    omsdpm.plugins.entry_points = lru_cache(maxsize=None)(omsdpm.plugins.entry_points)

    def savefig(figure: object, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"a picture of numbers that are in other files")

    matplotlib.figure.Figure.savefig = savefig
