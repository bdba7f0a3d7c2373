"""TOML that people write: zoos, recipes, benchmarks, latencies, studies."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.mutations import DEEP, HUGE_DIGITS, Rng, changed, damaged, hostile
from tests.fuzz.schema import (
    Rule,
    anything,
    by_tag,
    either,
    flag,
    mapping,
    number,
    one_of,
    plain,
    rows,
    table,
    text,
    whole,
)  # fmt: skip

SEED = whole(0)
BETA = number(0, 1, open_low=True, open_high=True)
BETAS = {"kind": text, "steps": whole(1), "zero_terminal_snr": flag}
NOISE = by_tag(
    "kind",
    {
        "linear": table({}, {**BETAS, "beta_start": BETA, "beta_end": BETA}),
        "scaled-linear": table({}, {**BETAS, "beta_start": BETA, "beta_end": BETA}),
        **dict.fromkeys(("cosine", "betas", "linear-vp", "flow"), anything),
    },
    "linear",
)
IMAGES = table({"name": text, "image_size": whole(1, 2**14), "channels": whole(1, 2**12)})
PREDICTION = one_of("epsilon", "v_prediction", "sample", "flow_velocity", "flow")

MEMBER = by_tag(
    "kind",
    {
        "unet2d": table(
            {"folder": lambda value: text(value) and value != ""},
            {
                "kind": text,
                "prediction_type": text,
                "clip": number(0, open_low=True),
                "use_clipped_model_output": flag,
                "heads": mapping(text, whole(1)),
            },
        ),
        "callable": anything,
    },
    "unet2d",
)
ZOO = table({"zoo": IMAGES, "noise": NOISE, "member": rows(MEMBER, 1)})

TRAINING = table(
    {},
    {
        "steps": whole(1), "batch_size": whole(1), "learning_rate": number(0, open_low=True), "warmup": whole(0),
        "ema_decay": number(0, 1, open_high=True), "seed": SEED,
    },
)  # fmt: skip
RECIPE = table(
    {
        "zoo": IMAGES,
        "member": rows(
            table({"name": plain, "unet": mapping(text, anything)}, {"prediction_type": text, "training": TRAINING}), 1
        ),
    },
    {"noise": NOISE, "training": TRAINING},
)

NULL = either(number(0, 1, open_high=True), rows(number(0, 1, open_high=True), 2, 2))
ROUND: dict[str, Rule] = {"name": plain, "design": text}
SPLIT = one_of("", "train", "validation", "test", "elite")
SPLITS: dict[str, Rule] = {"split": SPLIT, "splits": mapping(SPLIT, whole(1))}
DRAWN = {**SPLITS, "window": lambda value: rows(number(0), 2, 2)(value) and value[0] < value[1]}
RANDOM = {**DRAWN, "null": NULL, "alpha": number(0, open_low=True)}
COUNTED = {**ROUND, "n": whole(1)}
ANY_ROUND = by_tag(
    "design",
    {
        "random": table(COUNTED, RANDOM),
        "stratified": table(COUNTED, RANDOM),
        "tree": table(COUNTED, {**RANDOM, "branches": whole(1)}),
        "refine": table(COUNTED, {**DRAWN, "mutations": whole(0)}),
        "exhaustive": table(ROUND, SPLITS),
    },
)
LABEL = whole(0)
MEASUREMENT = table(
    {
        "zoo": text,
        "solver": one_of("ddim", "dpm-solver", "dpm-solver++", "unipc"),
        "length": whole(1),
    },
    {
        "members": rows(whole(1, 2)),
        "spacing": text,
        "metric": text,
        "reference": text,
        "images": whole(2),
        "seed": SEED,
        "eta": number(0),
        "t_end": number(0),
        "timesteps": either(text, rows(number(0))),
        "labels": either(LABEL, one_of("random"), rows(LABEL, 1)),
    },
)
BENCHMARK = table(
    {"name": plain, "summary": text, "measurement": MEASUREMENT, "budgets": rows(number(0, open_low=True))},
    {
        "notes": text, "seed": SEED, "tabular": flag, "round": rows(ANY_ROUND),
        "validation": table({}, {"images": whole(2), "seeds": rows(SEED)}),
        "repeat": table({"n": whole(1), "seed": SEED}),
    },
)  # fmt: skip

LATENCY = table(
    {"ms": rows(number(0, open_low=True), 2, 2)},
    {
        "batch_size": whole(1), "repeats": whole(1), "statistic": text, "device": text, "threads": whole(1),
        "date": anything, "source": text, "versions": mapping(text, text),
    },
)  # fmt: skip

NAMES = either(lambda value: text(value) and value != "", rows(text, 1))
STUDY = table(
    {"benchmark": NAMES, "optimizer": NAMES, "predictor": NAMES},
    {
        "seeds": whole(1), "first_seed": SEED, "budget": rows(number()), "evaluations": whole(1),
        "train_size": whole(2), "kappa": number(), "validate": flag, "validate_seeds": whole(1),
        "target": rows(number()),
    },
)  # fmt: skip

STUDY_FILE = """
benchmark = "digits-tab"
optimizer = ["random", "nsga2[population=20]"]
predictor = "gp,ridge"
seeds = 2
first_seed = 7
budget = [100.0, 150]
evaluations = 100
train_size = 50
kappa = 0.5
validate = false
validate_seeds = 3
target = [0.1, 0.02]
"""

RECIPE_FILE = """
[zoo]
name = "digits"
image_size = 8
channels = 1
[noise]
kind = "linear"
beta_start = 1e-4
beta_end = 0.02
[training]
steps = 60
batch_size = 12
learning_rate = 2e-3
warmup = 3
ema_decay = 0.99
seed = 5
[[member]]
name = "1"
prediction_type = "v_prediction"
training = { learning_rate = 1, steps = 9 }
unet = { block_out_channels = [4, 8], layers_per_block = 1, norm_num_groups = 4, add_attention = false }
[[member]]
name = "2"
unet = { block_out_channels = [8], down_block_types = ["DownBlock2D"], up_block_types = ["UpBlock2D"] }
"""

RAW = {
    "infinity": "inf", "negative infinity": "-inf", "NaN": "nan",
    "huge integer": "9" * HUGE_DIGITS, "hexadecimal": "0x" + "f" * HUGE_DIGITS,
    "long fraction": "0." + "1" * HUGE_DIGITS, "overflow": "1e999", "deep list": "[" * DEEP + "]" * DEEP,
    "deep table": "{a=" * 2000 + "1" + "}" * 2000, "some depth": "[" * 90 + "]" * 90, "date": "2026-01-01",
    "time": "07:32:00", "moment": "1979-05-27T07:32:00Z", "table": "{ x = 1 }", "empty table": "{}", "tables": "[{}]",
    "null": "null", "one": "[10]", "word": '"half"', "negative": "-3", "zero": "0", "fraction": "2.5", "yes": "true",
    "multiline": '"""a\nb"""', "escape": '"\\u0000"', "beyond": "9223372036854775808", "text number": '"5"',
}  # fmt: skip
"""Values as TOML spells them, which no writer would write."""


class TomlKind(Kind):
    """Files of TOML."""

    name = "TOML"
    share = 1.8

    def __init__(self, valid: Path) -> None:
        super().__init__(valid)
        self.files: list[tuple[str, str, Rule, Callable[[Path, Any], Any], Callable[[Any, Any], str | None]]] = [
            ("zoo.toml", (valid / "zoo" / "zoo.toml").read_text(), ZOO, self._zoo, _same_zoo),
            ("recipe.toml", RECIPE_FILE, RECIPE, self._recipe, _same_recipe),
            ("benchmark.toml", (valid / "benchmark" / "benchmark.toml").read_text(), BENCHMARK, self._benchmark,
             _same_benchmark),
            ("latency.toml", (valid / "zoo" / "latency.toml").read_text(), LATENCY, self._latency, _same_latency),
            ("study.toml", STUDY_FILE, STUDY, self._study, _same_study),
        ]  # fmt: skip

    def case(self, rng: Rng, folder: Path) -> Case:
        weights = np.array([2, 2, 4, 1, 2], dtype=float)
        name, source, rule, read, same = self.files[int(rng.choice(5, p=weights / weights.sum()))]
        path = folder / name
        what, raw = _malformed(source, rng)
        path.write_bytes(raw)
        return Case(f"{name}: {what}", path, lambda: read(folder, path), _judge(raw, rule, same))

    def _zoo(self, folder: Path, path: Path) -> Any:
        from omsdpm.zoo import ZooFile

        return ZooFile.read(folder)

    def _recipe(self, folder: Path, path: Path) -> Any:
        from omsdpm.zoo.recipe import ZooRecipe

        return ZooRecipe.read(path)

    def _benchmark(self, folder: Path, path: Path) -> Any:
        from benchmarks import load_benchmark
        from omsdpm.dataset.recipe import Recipe

        benchmark, recipe = load_benchmark(str(folder)), Recipe.read(folder)
        benchmark.space  # noqa: B018  # which reads what the measurement says of its zoo
        return benchmark, recipe

    def _latency(self, folder: Path, path: Path) -> Any:
        from omsdpm.zoo.files import read_latency_card

        return read_latency_card(folder, 2)

    def _study(self, folder: Path, path: Path) -> Any:
        from studies.jobs.study.settings import study_of_file

        return study_of_file(path)


def _malformed(source: str, rng: Rng) -> tuple[str, bytes]:
    import tomli_w

    act = rng.random()
    if act < 0.02:
        return "as it is", source.encode()
    if act < 0.25:
        what, raw = damaged(source.encode(), rng)
        return what, raw
    if act < 0.55:  # a value replaced as TOML spells it
        lines = source.splitlines()
        at = [number for number, line in enumerate(lines) if "=" in line]
        line = int(rng.choice(at))
        key = list(RAW)[int(rng.integers(len(RAW)))]
        lines[line] = f"{lines[line].partition('=')[0]}= {RAW[key]}"
        return f"{lines[line].partition('=')[0].strip()} = {key}", "\n".join(lines).encode()
    if act < 0.6:
        lines = source.splitlines()
        at = int(rng.integers(len(lines)))
        lines.insert(at, lines[int(rng.integers(len(lines)))])
        return "line repeated", "\n".join(lines).encode()
    content = tomllib.loads(source)
    while True:
        what, value = changed(content, rng, _hostile)
        try:
            return what, tomli_w.dumps(value).encode()
        except (TypeError, ValueError, AttributeError, RecursionError):
            continue  # what TOML cannot say


def _hostile(rng: Rng) -> Any:
    while (value := hostile(rng)) is None:
        pass
    return value


def _judge(raw: bytes, rule: Rule, same: Callable[[Any, Any], str | None]) -> Callable[[Any], str | None]:
    def wrong(accepted: Any) -> str | None:
        try:
            content = tomllib.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            return f"it is not TOML: {error}"
        if not rule(content):
            return "a key is unknown or lacking, or a value is none that it may have"
        return same(content, accepted)

    return wrong


def _differ(pairs: list[tuple[str, Any, Any]]) -> str | None:
    """The first of ``(name, in the file, accepted)`` that differ."""
    for name, said, got in pairs:
        if _plain(said) != _plain(got):
            return f"{name}: the file says {said!r}, accepted was {got!r}"
    return None


def _plain(value: Any) -> Any:
    if type(value) is int and abs(value) > 2**53:
        return float(value)  # where a number belongs, a whole one may be meant
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(exclude_unset=True))
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _same_zoo(said: Any, got: Any) -> str | None:
    pairs = [("zoo", said["zoo"], got.zoo), ("members", len(said["member"]), len(got.members))]
    if said["noise"].get("kind", "linear") == "linear":
        pairs += [(key, value, getattr(got.noise, key)) for key, value in said["noise"].items()]
    for one, member in zip(said["member"], got.members, strict=False):
        pairs += [(key, value, getattr(member, key)) for key, value in one.items()]
    return _differ(pairs)


def _same_recipe(said: Any, got: Any) -> str | None:
    return _differ(
        [(key, value, getattr(got, key)) for key, value in said.items() if key in ("zoo", "training")]
        + [("member", said["member"], list(got.members))]
    )


def _same_benchmark(said: Any, got: Any) -> str | None:
    benchmark, recipe = got
    measurement = benchmark.measurement
    pairs = [
        ("name", said["name"], benchmark.name),
        ("budgets", sorted(said["budgets"]), benchmark.budgets),
        ("seed", said.get("seed", 0), recipe.seed),
        ("rounds", len(said.get("round", [])), len(recipe.rounds)),
    ]
    for key, value in said["measurement"].items():
        if key not in ("zoo", "reference", "metric"):
            pairs.append((key, value, getattr(measurement, key)))
    for one, entry in zip(said.get("round", []), recipe.rounds, strict=False):
        pairs += [
            (key, value, getattr(entry, key) if hasattr(entry, key) else entry.options[key])
            for key, value in one.items()
        ]
    validation = said.get("validation", {})
    pairs += [("validation", validation.get("images", 2000), benchmark.validation_images)]
    pairs += [("validation", validation.get("seeds", [1001, 1002, 1003]), benchmark.validation_seeds)]
    if said["measurement"].get("seed", 0) in benchmark.validation_seeds:
        return "a validation seed is the dataset's"
    return _differ(pairs)


def _same_latency(said: Any, got: Any) -> str | None:
    return _differ([(key, value, got[key]) for key, value in said.items() if key != "date"])


def _same_study(said: Any, got: Any) -> str | None:
    from studies.jobs.study.settings import SETTING

    pairs = []
    for key, value in said.items():
        field = {**SETTING, "validate": "validated"}.get(key, key)
        if key in ("benchmark", "optimizer", "predictor") and isinstance(value, str):
            from omsdpm.plugins import split_list

            value = split_list(value)
        pairs.append((key, value, getattr(got, field)))
    return _differ(pairs)


def copy_zoo(valid: Path, folder: Path) -> Path:
    """A copy of the valid zoo in a folder."""
    shutil.copytree(valid / "zoo", folder / "zoo")
    return folder / "zoo"
