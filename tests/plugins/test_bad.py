"""Plug-ins that cannot be used, of every kind: each is told in one line, before anything is done."""

from __future__ import annotations

import re

import pytest

from benchmarks import load_benchmark
from benchmarks.baselines import all_baselines
from benchmarks.strategies.registry import make_strategy
from omsdpm import DDIMSpace, InputError, make_space
from omsdpm.networks.base import member_table
from omsdpm.noise import make_noise
from omsdpm.scoring.features import make_features
from omsdpm.scoring.metrics.opening import check_metric
from predictors import make_predictor
from studies import make_optimizer

SPACE = DDIMSpace(2, 4)

USES = {
    "solver": ("omsdpm.solvers", lambda name: make_space(name, 2, 4)),
    "noise schedule": ("omsdpm.noise", lambda name: make_noise({"kind": name})),
    "network": ("omsdpm.networks", lambda name: member_table({"kind": name})),
    "predictor": ("omsdpm.predictors", lambda name: make_predictor(name, space=SPACE)),
    "optimizer": ("omsdpm.optimizers", lambda name: make_optimizer(name)),
    "strategy": ("omsdpm.strategies", lambda name: make_strategy(name)),
    "benchmark": ("omsdpm.benchmarks", lambda name: load_benchmark(name)),
    "metric": ("omsdpm.metrics", lambda name: check_metric(name)),
    "feature network": ("omsdpm.features", lambda name: make_features(name)),
}
"""Kind -> its entry-point group, and how it is asked for by name."""

every_kind = pytest.mark.parametrize("kind", USES)


def refusal(kind: str, name: str) -> str:
    """What is said when a name of a kind is used."""
    with pytest.raises(InputError) as error:
        USES[kind][1](name)
    message = str(error.value)
    assert "\n" not in message
    return message


@every_kind
def test_one_that_cannot_be_imported(kind, site):
    site.register(USES[kind][0], "needy", "import nowhere_to_be_found\n\nclass Thing: ...\n", needy="Thing")
    assert refusal(kind, "needy") == (
        f"{kind} 'needy' is registered as needy:Thing, which cannot be imported (ModuleNotFoundError: "
        "No module named 'nowhere_to_be_found'): mend or uninstall its package"
    )


@every_kind
def test_one_whose_module_fails_over_many_lines(kind, site):
    site.register(USES[kind][0], "failing", "raise RuntimeError('first\\nsecond')\n", failing="Thing")
    assert refusal(kind, "failing") == (
        f"{kind} 'failing' is registered as failing:Thing, which cannot be imported (RuntimeError: first second): "
        "mend or uninstall its package"
    )


@every_kind
def test_one_whose_module_lacks_the_name(kind, site):
    site.register(USES[kind][0], "empty", "", empty="Thing")
    assert refusal(kind, "empty") == (
        f"{kind} 'empty' is registered as empty:Thing, which cannot be imported (AttributeError: module 'empty' "
        "has no attribute 'Thing'): mend or uninstall its package"
    )


@every_kind
def test_two_of_one_name(kind, site):
    for module in ("first", "second"):
        site.register(USES[kind][0], module, "class Thing: ...\n", twice="Thing")
    assert refusal(kind, "twice") == (
        f"{kind} 'twice' is registered by several packages (first:Thing, second:Thing): uninstall all but one"
    )


@pytest.mark.parametrize(
    ("kind", "ours", "value"),
    [
        ("solver", "ddim", "omsdpm.solvers.ddim:DDIMSpace"),
        ("noise schedule", "cosine", "omsdpm.noise.cosine:CosineBetas"),
        ("network", "unet2d", "omsdpm.networks.unet2d:UNet2DTable"),
        ("predictor", "gp", "predictors.gp.predictor:GPPredictor"),
        ("optimizer", "random", "studies.optimizers.random_search:RandomOptimizer"),
        ("strategy", "single", "benchmarks.strategies.single:SingleStrategy"),
        ("benchmark", "digits-tab", "benchmarks.digits:tab"),
        ("metric", "psnr", "omsdpm.scoring.metrics.psnr:PSNRMetric"),
        ("feature network", "digits", "omsdpm.scoring.features.digits:DigitNetwork"),
    ],
)
def test_one_with_the_name_of_ours(kind, ours, value, site):
    site.register(USES[kind][0], "zzz", "class Thing: ...\n", **{ours: "Thing"})
    assert refusal(kind, ours) == (
        f"{kind} {ours!r} is registered by several packages ({value}, zzz:Thing): uninstall all but one"
    )


@pytest.mark.parametrize(
    ("kind", "lacks"),
    [
        ("solver", "make, plan, canonical, solver"),
        ("noise schedule", "kind, from_table"),
        ("network", "load, model_fields"),
        ("predictor", "fit, predict, save, load, get_params"),
        ("optimizer", "run, multi_objective"),
        ("strategy", "name, schedules"),
        ("metric", "update, merge, value"),
        ("feature network", "dim"),
    ],
)
def test_one_that_lacks_the_contract(kind, lacks, site):
    site.register(USES[kind][0], "hollow", "class Thing: ...\n", hollow="Thing")
    assert refusal(kind, "hollow") == f"{kind} 'hollow' (hollow:Thing) is no {kind}: it lacks {lacks}"


@every_kind
def test_one_that_cannot_be_called(kind, site):
    needed = "make plan canonical solver kind from_table load model_fields fit predict save get_params run "
    needed += "multi_objective name schedules update merge value dim"
    body = "".join(f"    {name} = 0\n" for name in needed.split())
    site.register(USES[kind][0], "inert", f"class Thing:\n{body}\nthing = Thing()\n", inert="thing")
    assert refusal(kind, "inert") == f"{kind} 'inert' (inert:thing) is no {kind}: it cannot be called"


@pytest.mark.parametrize(
    ("kind", "base", "body", "lacks"),
    [
        ("predictor", "predictors:Predictor", "_learn = None", "_score"),
        ("optimizer", "studies:Optimizer", "multi_objective = True", "_search"),
        ("strategy", "benchmarks.strategies.base:Strategy", "name = 'partial'", "schedules"),
        ("noise schedule", "omsdpm.noise:Noise", "kind = 'partial'", "alpha, inverse_lambda, sigma, time, timestep"),
        ("solver", "omsdpm.solvers.slots:SlotSpace", "solver = 'partial'", "plan"),
        ("metric", "omsdpm.scoring.metrics:Metric", "takes_reference = False", "merge, update, value"),
    ],
)
def test_one_that_leaves_a_part_of_the_base_out(kind, base, body, lacks, site):
    module, _, name = base.partition(":")
    site.register(
        USES[kind][0], "partly", f"from {module} import {name}\n\nclass Thing({name}):\n    {body}\n", partial="Thing"
    )
    assert refusal(kind, "partial") == f"{kind} 'partial' (partly:Thing) is no {kind}: it lacks {lacks}"


@pytest.mark.parametrize(
    ("kind", "parent", "says", "rest"),
    [
        (
            "solver",
            "omsdpm.solvers:DDIMSpace",
            "solver = 'mine'",
            "solver 'yours' (selfish:Thing) calls itself 'mine': its files would not be found again; "
            "register it under its own name",
        ),
        (
            "noise schedule",
            "omsdpm.noise:CosineBetas",
            "kind = 'mine'",
            "noise schedule 'yours' calls itself 'mine', by which what it writes would not be found again: "
            "register it under that name",
        ),
        (
            "strategy",
            "benchmarks.strategies.single:SingleStrategy",
            "name = 'mine'",
            "strategy 'yours' (selfish:Thing) calls itself 'mine', by which its baselines would not be found again: "
            "register it under that name",
        ),
    ],
)
def test_one_that_calls_itself_otherwise(kind, parent, says, rest, site):
    module, _, name = parent.partition(":")
    source = f"from {module} import {name}\n\nclass Thing({name}):\n    {says}\n"
    site.register(USES[kind][0], "selfish", source, yours="Thing")
    assert refusal(kind, "yours") == rest


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (
            "predictor",
            "ridge[alpha=3]",
            "unknown parameter of predictor 'ridge' 'alpha'; "
            "choose one of: random_state, latency, options, squares, noise",
        ),
        (
            "optimizer",
            "random[bach=3]",
            "unknown parameter of optimizer 'random' 'bach'; choose one of: batch",
        ),
        ("strategy", "single[order=3]", "strategy 'single' takes no parameters: leave out 'order'"),
        (
            "benchmark",
            "digits-tab[images=3]",
            "benchmark 'digits-tab' takes no parameters: leave out 'images'",
        ),
        ("optimizer", "random[batch=3,batch=4]", "'random[batch=3,batch=4]': parameter 'batch' is given twice"),
        (
            "optimizer",
            "random[batch]",
            "'random[batch]': 'batch' is no param=value",
        ),
        (
            "optimizer",
            "random[batch=3",
            "'random[batch=3': expected name or name[param=value,...], with a closing bracket at the end",
        ),
    ],
)
def test_parameters_that_it_does_not_have(kind, text, message):
    assert refusal(kind, text) == message


def test_a_parameter_that_it_needs(site):
    source = "from studies import Optimizer\n\nclass Thing(Optimizer):\n    multi_objective = False\n"
    source += "    def __init__(self, *, width): ...\n    def _search(self, problem, ledger, rng): ...\n"
    site.register("omsdpm.optimizers", "narrow", source, narrow="Thing")
    told = refusal("optimizer", "narrow").replace("keyword-only ", "")  # which Python says from 3.13 on
    assert told == "optimizer 'narrow' (narrow:Thing): missing a required argument: 'width'"
    assert type(make_optimizer("narrow[width=3]")).__name__ == "Thing"


def test_a_benchmark_that_makes_something_else(site):
    site.register("omsdpm.benchmarks", "numbers_only", "def thing():\n    return 5\n", numbers="thing")
    assert refusal("benchmark", "numbers") == (
        "benchmark 'numbers' made a int, which lacks name, space, latency, budgets, evaluate, validate"
    )


def proposing(x: str) -> str:
    """The module of a strategy that proposes one schedule."""
    return (
        "import numpy as np\n\nfrom benchmarks.strategies.base import NamedSchedule, Strategy\n\n"
        "class Thing(Strategy):\n    name = 'wild'\n    def schedules(self, problem, budget):\n"
        f"        return [NamedSchedule('the one', np.array({x}))]\n"
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("[1, 2, 2, 0]", "strategy 'wild' proposes 'the one', which takes 5 ms: expected 3 ms at most"),
        ("[0, 0, 0, 0]", "strategy 'wild' proposes 'the one', which is no schedule: schedule 0 is all null"),
        ("[3, 0, 0, 0]", "strategy 'wild' proposes 'the one', which is no schedule: schedule 0 names member 3"),
        ("[1, 0, 0]", "strategy 'wild' proposes 'the one', which is no schedule: schedule of length 3: "),
    ],
)
def test_a_strategy_whose_schedules_cannot_be_used(x, message, site):
    site.register("omsdpm.strategies", "wild", proposing(x), wild="Thing")
    with pytest.raises(InputError) as error:
        all_baselines(SPACE, [1.0, 2.0], [3.0])
    assert str(error.value).startswith(message)


def test_the_command_tells_it_in_one_line_before_anything_is_written(site, bench, tmp_path):
    site.register("omsdpm.optimizers", "needy", "import nowhere_to_be_found\n", needy="Thing")
    output = tmp_path / "out"
    for args in (
        ("run", "--benchmark", "digits-tab", "--optimizer", "needy", "--predictor", "ridge", "--output", str(output)),
        ("run", "--benchmark", "digits-tab", "--optimizer", "random[bach=3]", "--output", str(output)),
    ):
        outcome = bench(*args, path=[site.folder])
        assert outcome.returncode == 2
        assert "Traceback" not in outcome.stderr
        assert len([line for line in outcome.stderr.splitlines() if line.startswith("Error")]) == 1
        assert not output.exists()


def test_list_goes_on_where_a_plug_in_is_broken(site, bench):
    site.register("omsdpm.optimizers", "needy", '"""Needs a lot."""\nimport nowhere_to_be_found\n', needy="Thing")
    site.register("omsdpm.optimizers", "typo", "def (:\n", typo="Thing")
    site.register("omsdpm.optimizers", "gone", "", gone="Thing")
    (site.folder / "gone.py").unlink()
    listed = bench("list", path=[site.folder])
    assert listed.returncode == 0, listed.stderr
    lines = [re.sub(r"(?<=\w) {2,}", "  ", line.rstrip()) for line in listed.stdout.splitlines()]
    assert "  needy  Needs a lot." in lines
    assert "  typo" in lines and "  gone" in lines
    assert any(line.startswith("  random  Random designs") for line in lines)
