"""Results of jobs and tables that grow: ``result.json``, leaderboards, cells of studies."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.mutations import Rng, changed, damaged

HEADER = (
    "when,benchmark,data_hash,optimizer,predictor,train_size,evaluations,run_seed,budget_ms,schedule,nfe,"
    "latency_frozen_ms,latency_measured_ms,device,validation_seed,images,metric,score,best_baseline_mean,"
    "baseline_score,baseline,kappa,version"
)
ROW = ("2026-11-24T10:00:00+00:00,digits-tab,0123,nsga2,gp,100,1000,{seed},60,0 3 0 2 1 0,3,55.5,54,cpu,{validation},"
       "1000,fd-digits,{score},9.5,9.6,\"member 3, 1 step\",0,0.1.0")  # fmt: skip


class ResultKind(Kind):
    """Files that runs write."""

    name = "results"
    share = 0.8

    def case(self, rng: Rng, folder: Path) -> Case:
        return self._run(rng, folder) if rng.random() < 0.5 else self._leaderboard(rng, folder)

    def _run(self, rng: Rng, folder: Path) -> Case:
        run = folder / "run"
        shutil.copytree(self.valid / "results" / "run", run)
        path = run / "result.json"
        raw = path.read_bytes()
        if rng.random() < 0.35:
            what, raw = damaged(raw, rng)
            path.write_bytes(raw)
        else:
            what, table = changed(json.loads(raw), rng)
            try:
                path.write_text(json.dumps(table), encoding="utf-8", errors="surrogatepass")
            except (ValueError, RecursionError):
                path.write_text("[" * 50_000)

        def read() -> Any:
            from studies.jobs.run.result import RunResult

            return RunResult.read(run)

        return Case(f"{path.name}: {what}", path, read, lambda got: _same_run(path, got))

    def _leaderboard(self, rng: Rng, folder: Path) -> Case:
        path = folder / "leaderboard.csv"
        rows = [ROW.format(seed=seed, validation=3001 + v, score=9 + seed + v / 10) for seed in (0, 1) for v in (0, 1)]
        text = "\n".join([HEADER, *rows]) + "\n"
        act = rng.random()
        if act < 0.5:
            what, raw = damaged(text.encode(), rng)
            path.write_bytes(raw)
        else:
            cells = list(csv.reader(io.StringIO(text)))
            row, column = int(rng.integers(len(cells))), int(rng.integers(len(cells[0])))
            values = ["", "nan", "inf", "-1", "1e999", "9" * 5000, "half", "=1+1", "0 9 9", "1.5", "'=x", "\x00", '"',
                      "1 x", "0 3 0 2 1 0", "a\nb", "True", "-0", "0 0 0 0 0 0", "1e300"]  # fmt: skip
            cells[row][column] = values[int(rng.integers(len(values)))]
            what = f"row {row}, {cells[0][column]} = {cells[row][column][:20]!r}"
            buffer = io.StringIO()
            csv.writer(buffer, lineterminator="\n").writerows(cells)
            path.write_text(buffer.getvalue(), encoding="utf-8")

        def read() -> Any:
            from studies.jobs.leaderboard.rows import read_rows
            from studies.records.leaderboard import Leaderboard

            Leaderboard(path).rows()
            return read_rows([path])

        return Case(f"{path.name}: {what}", path, read, lambda got: _same_rows(path, got))


def _same_run(path: Path, got: Any) -> str | None:
    """What is written back says what the file said."""
    said = json.loads(path.read_text(encoding="utf-8"))
    back = json.loads(json.dumps(got.as_dict(), allow_nan=False))
    if isinstance(said.get("settings"), dict):  # a file of an earlier version lacks some, which have their usual values
        fields = type(got.settings).model_fields
        usual = [key for key in back["settings"] if getattr(got.settings, key) == fields[key].default]
        said["settings"] = {key: back["settings"][key] for key in usual} | said["settings"]
    ranking = said["predictor"].get("ranking") if isinstance(said.get("predictor"), dict) else None
    for of_split in ranking.values() if isinstance(ranking, dict) else ():  # earlier versions did not say it
        of_split.setdefault("constant", False)
    for key in ("when", "settings", "benchmark", "predictor", "budgets", "winners", "front", "populations", "seconds",
                "environment", "validation", "search", "leaderboard"):  # fmt: skip
        if not _equal(said.get(key), back.get(key)):
            return f"{key}: the file says {str(said.get(key))[:80]}, accepted was {str(back.get(key))[:80]}"
    unknown = set(said) - set(back)
    return f"it has the keys {unknown}, which nobody knows" if unknown else None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-12)
    return bool(one == other)


def _same_rows(path: Path, got: Any) -> str | None:
    from studies.records.tables import uncell

    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    header, *rows = [cells for cells in csv.reader(io.StringIO(text, newline="")) if cells]
    whole = [dict(zip(header, map(uncell, cells), strict=True)) for cells in rows if len(cells) == len(header)]
    if len(got) not in (len(whole), len(whole) - 1):  # the last may be torn
        return f"{len(whole)} rows in the file, {len(got)} accepted"
    for row, own in zip(whole, got, strict=False):
        for name, value in (("budget_ms", own.budget), ("score", own.score), ("images", own.images),
                            ("validation_seed", own.validation_seed)):  # fmt: skip
            measured = name == "score"  # which a run may have measured to be no number
            same = np.array_equal(float(row[name]), value, equal_nan=measured)
            if not same or not (measured or np.isfinite(value)):
                return f"{name} {row[name]!r} was read as {value!r}"
        if row["schedule"].split() != [str(member) for member in own.schedule] or min(own.schedule) < 0:
            return f"schedule {row['schedule']!r} was read as {own.schedule}"
        for name, value in (("latency_frozen_ms", own.latency),):
            if row.get(name, "").strip() and not np.isfinite(float(row[name])):
                return f"{name} {row[name]!r} was read as {value!r}"
    return None
