"""The process that reads malformed files; the driver restarts it when it dies.

It is told kind, seed and number in a line of JSON, makes that input, reads it, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 2 * 2**30
"""Bytes that reading one input may take."""

OUTCOMES = ("refused", "boundary", "accepted", "wrong", "unnamed", "traceback", "runaway", "crash")


def main() -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print
    from tests.fuzz.kinds import KINDS

    valid = Path(sys.argv[1])
    kinds = {name: kind(valid) for name, kind in KINDS.items()}
    _warm_up(valid)
    limit = _status("VmSize") + MEMORY + 2**29
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, seed, number = json.loads(line)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            answer = _try(kinds[name], rng, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps(answer), file=answers, flush=True)


def _try(kind: Any, rng: np.random.Generator, folder: Path) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = kind.case(rng, folder)
        before = _reset_peak()
        outcome, detail = _judged(case)
        grown = _status("VmHWM") - before
    if grown > MEMORY or outcome == "memory":
        outcome, detail = "runaway", f"{grown / 2**20:.0f} MiB; {detail}"
    return {"outcome": outcome, "what": case.what, "detail": detail.replace(str(folder), "FOLDER")}


def _judged(case: Any) -> tuple[str, str]:
    from omsdpm.errors import InputError, one_line
    from studies.cli._lazy import refusal

    try:
        accepted = case.read()
    except Exception as error:
        if _out_of_memory(error):
            return "memory", f"{type(error).__name__}: {error}"
        told = refusal(error)
        if told is None:
            return "traceback", "".join(traceback.format_exception(error)[-6:])[-3000:]
        message = one_line(told)
        if case.path.name not in message and case.path.parent.name not in message:
            return "unnamed", message
        return ("refused" if isinstance(error, InputError) else "boundary"), message
    try:
        fault = case.wrong(accepted)
    except Exception as error:  # what was accepted cannot be used
        return "wrong", "".join(traceback.format_exception(error)[-6:])[-3000:]
    return ("accepted", "") if fault is None else ("wrong", fault)


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _warm_up(valid: Path) -> None:
    """Imports what reading needs, so that it counts for no input."""
    import diffusers  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch
    import xgboost  # noqa: F401

    import benchmarks
    import omsdpm.released
    import predictors
    import studies  # noqa: F401

    torch.set_num_threads(1)
    for folder in sorted((valid / "predictors").iterdir()):
        predictor = predictors.load_predictor(folder)
        assert predictor.space is not None
        predictor.predict(np.ones((1, predictor.space.length), dtype=int))
    omsdpm.ModelZoo.load(valid / "zoo")
    benchmarks.load_benchmark("digits-tab")


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
