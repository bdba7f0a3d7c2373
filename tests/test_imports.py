"""Who may import whom, what importing costs, and the names that others rely on."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

PACKAGES = ("omsdpm", "predictors", "benchmarks", "studies")
"""In the direction of the arrows, backwards: each may import those before it."""

HEAVY = ("torch", "diffusers", "sklearn", "pandas", "pymoo", "optuna", "matplotlib", "xgboost")

DOTTED = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+(:\w+)?")
"""A module named in a string, as ``importlib.import_module`` and lazy tables take it."""

OURS = tuple(distribution("omsdpm").entry_points)

INVERTED = "omsdpm.released"
"""The group by which the domain has built what it may not know: its name is the domain's own."""

OWNERS = {point.group: point.value.split(".")[0] for point in OURS if point.group != INVERTED}
"""The package of each kind of plug-in, by entry-point group."""

OTHER_WORDS = {"random", "single", "stitch", "evolution", "logSNR", "trailing", "leading", "linspace", "anneal"} | {
    "json", "diffusers", "comfyui", "sdxl", "wan",
}  # fmt: skip
"""Designs, what solvers call their own spacings and placings, a strategy that an optimizer has the name of, exports."""

REGISTERED = {
    point.name: OWNERS[point.group]
    for point in OURS
    if OWNERS.get(point.group) in PACKAGES and point.name not in OTHER_WORDS
}
"""The package of what is registered, by name; without words that mean other things too."""


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """The package's modules by dotted name; the speed scripts are none, and no part of the wheel."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if parts[:2] != ("benchmarks", "speed"):
            yield ".".join(parts), path


def imported(source: str, module: str) -> set[str]:
    """Dotted names that a module imports anywhere in it, or names in a string to import later."""
    tree = ast.parse(source)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = ".".join(module.split(".")[: -node.level]) if node.level else ""
            found.add(".".join(filter(None, (prefix, node.module))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(named(node.value))
    return found


def named(text: str) -> set[str]:
    """What a string names: a module, or the package of an entry-point group or of what is registered under a name."""
    if text in OWNERS:
        return {OWNERS[text]}
    if DOTTED.fullmatch(text):
        return {text.partition(":")[0]}
    name = text.partition("[")[0]
    return {REGISTERED[name]} if name in REGISTERED else set()


def backward(source: str, module: str) -> set[str]:
    """What a module imports against the arrows."""
    later = PACKAGES[PACKAGES.index(module.split(".")[0]) + 1 :]
    return {name for name in imported(source, module) if name.split(".")[0] in later}


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_points_against_the_arrows(package):
    found = list(modules(package))
    assert len(found) > 5
    assert {name: wrong for name, path in found if (wrong := backward(path.read_text(), name))} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_from_the_tests(package):
    for name, path in modules(package):
        assert not {root.split(".")[0] for root in imported(path.read_text(), name)} & {"tests", "conftest", "pytest"}


@pytest.mark.parametrize(
    "source",
    [
        "import studies",
        "from studies.jobs import Settings",
        "def f():\n    from studies.problem import SearchProblem",
        "if True:\n    import benchmarks.problem as b",
        "importlib.import_module('studies.optimizers.nsga2')",
        "LAZY = {'run': 'studies.cli.run:run'}",
        "entry_points(group='omsdpm.optimizers')",
        "make('nsga2[population=100]')",
        "benchmark = 'digits-tab'",
    ],
)
def test_the_check_sees_what_it_should(source):
    assert backward(source, "predictors.neural.lstm")
    assert not backward(source, "studies.jobs.run.job")


@pytest.mark.parametrize(
    "source",
    [
        "GROUP_NAME, ENTRY_NAME = 'omsdpm.predictors', 'other'",
        "registered['lstm-paper'].load()",
        "Registry('strategy', 'omsdpm.strategies')",
    ],
)
def test_the_domain_names_no_predictor_in_strings(source):
    assert backward(source, "omsdpm.released.predictor")
    assert not backward(source, "benchmarks.problem")


def test_the_domain_has_built_what_it_does_not_know_by_a_group_of_its_own():
    assert not backward(f"Registry('builder', {INVERTED!r})", "omsdpm.released.predictor")
    assert [point.value.split(".")[0] for point in OURS if point.group == INVERTED] == ["predictors"]


def test_each_kind_of_plug_in_is_of_one_package():
    assert all(point.value.split(".")[0] == OWNERS[point.group] for point in OURS if point.group in OWNERS)


def test_the_check_follows_relative_imports():
    assert imported("from .x import y", "studies.optimizers.base") == {"studies.optimizers.x"}
    assert imported("from ...omsdpm import y", "studies.optimizers.base") == {"omsdpm"}


def loaded_by(script: str) -> list[str]:
    """Heavy packages in ``sys.modules`` after a script, in a fresh interpreter."""
    code = f"{script}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return outcome.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "script",
    [
        "import omsdpm, predictors, studies, benchmarks",
        "from predictors import predictor_names; assert 'lstm' in predictor_names()",
        "from studies import optimizer_names; assert 'nsga2' in optimizer_names()",
        "from benchmarks import benchmark_names; assert 'digits-ddim' in benchmark_names()",
        "from studies.cli import main; main(['--help'], standalone_mode=False)",
        "from studies.cli import main; main(['list'], standalone_mode=False)",
        "from omsdpm import DDIMSpace; DDIMSpace(2, 4).neighbors([1, 0, 2, 0])",
    ],
)
def test_importing_is_light(script):
    assert loaded_by(script) == []


def test_the_probe_sees_a_heavy_import():
    assert "sklearn" in loaded_by("import sklearn")


# The design's "Names that must stay put": module, name, and the parameters that callers give
# by position or, after "*", by keyword.
NAMES = [
    ("omsdpm", "DDIMSpace", "num_models length"),
    ("omsdpm", "DPMSolverSpace", "num_models num_solvers"),
    ("omsdpm", "DDIMSpace.random", "self n rng"),
    ("omsdpm", "DPMSolverSpace.random", "self n rng"),
    ("omsdpm", "ModelZoo.load", "folder device=cpu"),
    ("omsdpm.noise", "LinearVP", "beta_0 beta_1"),
    ("omsdpm.noise", "DiscreteVP", "betas"),
    ("omsdpm.solvers", "compile_plan", "schedule space noise spacing=logSNR"),
    ("omsdpm.sampling", "sample", "denoisers schedule x_T * space noise spacing=logSNR"),
    ("omsdpm.sampling", "sample_population", "denoisers X x_T * space noise spacing=logSNR"),
    ("omsdpm.fid", "frechet_distance", "mu1 sigma1 mu2 sigma2"),
    ("omsdpm.released", "read_dataset", "path"),
    ("omsdpm.released", "read_latency", "path"),
    ("omsdpm.released", "read_schedules", "path"),
    ("omsdpm.released", "load_predictor", "path"),
    ("omsdpm.released", "load_zoo", "path"),
    ("predictors", "make_predictor", "name * space"),
    ("studies", "SearchProblem", "* space predictor latency budget=None"),
    ("studies", "make_optimizer", "name"),
    ("benchmarks", "load_benchmark", "name"),
]


@pytest.mark.parametrize(("module", "name", "wanted"), NAMES, ids=[f"{module}.{name}" for module, name, _ in NAMES])
def test_names_stay_put(module, name, wanted):
    thing = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    parameters = list(inspect.signature(thing).parameters.values())
    positional, _, keyword = wanted.partition("*")
    for parameter, given in zip(parameters, positional.split(), strict=False):
        assert parameter.name == given.partition("=")[0]
        assert parameter.kind is not parameter.KEYWORD_ONLY
    assert len(parameters) >= len(positional.split())
    by_name = {parameter.name: parameter for parameter in parameters}
    for given in (*positional.split(), *keyword.split()):
        key, has_default, default = given.partition("=")
        if has_default:
            assert str(by_name[key].default) == default
        assert by_name[key].kind is not by_name[key].POSITIONAL_ONLY
    # What callers need not give has a default.
    for parameter in parameters:
        if parameter.name not in wanted.replace("=", " ").split():
            assert parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD


def test_a_search_is_called_as_promised():
    from omsdpm import DDIMSpace
    from studies import SearchProblem, make_optimizer

    class Sum:
        def predict(self, X):
            return -np.asarray(X).sum(axis=1).astype(float)

    problem = SearchProblem(space=DDIMSpace(2, 4), predictor=Sum(), latency=[1.0, 2.0], budget=6.0)
    result = make_optimizer("random").run(problem, evaluations=50, seed=0)
    assert result.X.shape == (len(result), 4)
    assert result.scores.shape == result.latency.shape == (len(result),)
    assert result.latency.max() <= 6.0
    assert len(result.front()) <= len(result)
    assert result.best(6.0).shape == (4,)


def test_a_benchmark_has_what_is_promised():
    from benchmarks import Benchmark

    for name in ("space", "latency", "budgets", "dataset", "evaluate"):
        assert name in Benchmark.__dataclass_fields__ or hasattr(Benchmark, name)
    assert list(inspect.signature(Benchmark.evaluate).parameters)[:2] == ["self", "X"]
