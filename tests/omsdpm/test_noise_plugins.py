"""Noise schedules by name: the one in ``docs/noise.md``, and plug-ins that break the contract."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.noise import DiscreteVP, Flow, LinearBetas, LinearVP, Noise, make_noise, noise_names

PAGE = Path(__file__).parents[2] / "docs" / "noise.md"
LINES = 20
"""Most that a complete schedule may take, without blank ones."""


def block(language):
    """The page's only code block in ``language``."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return code


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install(module, source, entries, project)`` leaves what an installer would, on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(module, source, entries, project="example"):
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{project}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n", encoding="utf-8")
        lines = ["[omsdpm.noise]", *(f"{name} = {value}" for name, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        modules.append(module)
        return tmp_path

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def trig(install):
    """The page's schedule, installed as the page says."""
    entries = tomllib.loads(block("toml"))["project"]["entry-points"]["omsdpm.noise"]
    folder = install("trig_example", block("python"), entries)
    noise = make_noise({"kind": "trig", "steps": 500})
    assert Path(inspect.getfile(type(noise))).parent == folder
    return noise


def test_the_example_is_short():
    assert len([line for line in block("python").splitlines() if line.strip()]) <= LINES


def test_the_example_is_a_noise_schedule(trig):
    t = np.linspace(0, 1, 1001)
    assert isinstance(trig, Noise) and "trig" in noise_names()
    np.testing.assert_allclose(trig.alpha(t) ** 2 + trig.sigma(t) ** 2, 1, rtol=1e-12)
    lam = trig.lam(t)
    assert trig.alpha(0.0) == 1 and (np.diff(lam) < 0).all() and np.isfinite(lam[1:-1]).all()
    assert np.isfinite(trig.lam(trig.t_start)) and trig.continuous() is trig
    np.testing.assert_allclose(trig.inverse_lambda(lam), t, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trig.time(trig.timestep(t)), t, rtol=1e-12)
    with pytest.raises(InputError, match=r"timestep 501 is outside 0\.\.500"):
        trig.time(501)


def test_the_example_has_a_table(trig):
    assert trig.table() == {"kind": "trig", "steps": 500}
    assert make_noise(trig.table()) == trig and hash(make_noise(trig.table())) == hash(trig)
    with pytest.raises(InputError, match=r"^noise schedule 'trig': unknown key 'step'; choose one of: steps$"):
        make_noise({"kind": "trig", "step": 500})
    with pytest.raises(InputError, match=r"^noise schedule 'trig': steps = 'many', expected a whole number$"):
        make_noise({"kind": "trig", "steps": "many"})


def test_the_page_lists_our_kinds_and_their_defaults():
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {kind for kind, _ in rows} == set(noise_names())
    for kind, keys in rows:
        names = set(re.findall(r"`(\w+)(?: = [^`]+)?`", keys))
        noise = make_noise({"kind": kind, **({"betas": [0.1, 0.2]} if kind == "betas" else {})})
        wanted = set(noise.table()) - {"kind"} | ({"zero_terminal_snr"} if isinstance(noise, DiscreteVP) else set())
        assert names == wanted
        for name, default in re.findall(r"`(\w+) = ([^`]+)`", keys):
            assert getattr(noise, name) == tomllib.loads(f"x = {default}")["x"]


FULL = """
from dataclasses import dataclass
from omsdpm.noise import Flow

@dataclass(frozen=True)
class Mine(Flow):
    kind = "mine"
    speed: float = 1.0
    loud: bool = True
    name: str | None = None
"""


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        ("import not_there", "bad:Mine", "registered as bad:Mine, which cannot be imported .*not_there"),
        ("Mine = 3", "bad:Mine", "is no noise schedule: it lacks kind, from_table"),
        ("class Mine:\n    kind = 'mine'", "bad:Mine", "is no noise schedule: it lacks from_table"),
        (FULL.replace('"mine"', '"other"'), "bad:Mine", "'mine' calls itself 'other', .* register it under that name"),
        (
            "class Mine:\n    kind = 'mine'\n    from_table = dict",
            "bad:Mine",
            "noise schedule 'mine' made a dict: expected a Noise",
        ),
    ],
)
def test_a_plug_in_that_breaks_the_contract_is_one_line(install, source, value, message):
    install("bad", source, {"mine": value})
    with pytest.raises(InputError, match=message) as caught:
        make_noise({"kind": "mine"})
    assert "\n" not in str(caught.value)


def test_two_plug_ins_of_one_name_are_refused(install):
    install("one", FULL, {"mine": "one:Mine"}, "first")
    install("two", FULL, {"mine": "two:Mine"}, "second")
    with pytest.raises(InputError, match=r"registered by several packages \(one:Mine, two:Mine\)"):
        make_noise({"kind": "mine"})


def test_a_subclass_of_ours_has_its_keys_too(install):
    install("mine", FULL, {"mine": "mine:Mine"})
    noise = make_noise({"kind": "mine", "shift": 2, "speed": 3})
    table = {"kind": "mine", "shift": 2.0, "steps": 1000, "speed": 3.0, "loud": True}
    assert noise.table() == table and noise != Flow(2.0)
    quiet = make_noise({**table, "loud": False})
    assert quiet != noise and make_noise(quiet.table()) == quiet


def test_our_kinds():
    assert set(noise_names()) >= {"linear", "scaled-linear", "cosine", "betas", "linear-vp", "flow"}


@pytest.mark.parametrize(
    ("table", "noise"),
    [
        ({}, DiscreteVP.linear()),
        ({"beta_start": 2e-4, "beta_end": 0.01}, DiscreteVP.linear(2e-4, 0.01)),
        ({"kind": "linear", "steps": 100}, DiscreteVP.linear(steps=100)),
        ({"kind": "linear", "zero_terminal_snr": True}, DiscreteVP.linear().rescaled()),
        ({"kind": "scaled-linear", "steps": 100}, DiscreteVP.scaled_linear(steps=100)),
        ({"kind": "cosine", "max_beta": 0.9}, DiscreteVP.cosine(max_beta=0.9)),
        ({"kind": "betas", "betas": [0.1, 0.2]}, DiscreteVP([0.1, 0.2])),
        ({"kind": "betas", "betas": np.array([0.1, 0.2])}, DiscreteVP([0.1, 0.2])),
        ({"kind": "betas", "betas": [0.1, 0.2], "zero_terminal_snr": True}, DiscreteVP([0.1, 0.2]).rescaled()),
        ({"kind": "linear-vp", "beta_0": 1, "beta_1": 5}, LinearVP(1.0, 5.0)),
        ({"kind": "flow", "shift": 3}, Flow(3.0)),
    ],
)
def test_tables(table, noise):
    assert make_noise(table) == noise and hash(make_noise(table)) == hash(noise)


def test_a_formula_is_written_as_its_numbers():
    table = {"kind": "linear", "beta_start": 1e-4, "beta_end": 0.02, "steps": 1000}
    assert DiscreteVP.linear().table() == table
    assert DiscreteVP.linear().rescaled().table() == {**table, "zero_terminal_snr": True}
    assert DiscreteVP.linear(np.float64(1e-4), steps=np.int64(1000)).table() == table
    latent = {"kind": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012, "steps": 1000}
    assert DiscreteVP.scaled_linear().table() == latent
    assert DiscreteVP.cosine(50).table() == {"kind": "cosine", "max_beta": 0.999, "steps": 50}
    assert DiscreteVP([0.1, 0.2]).table() == {"kind": "betas", "betas": [0.1, 0.2]}


def test_schedules_of_the_same_numbers_are_equal():
    assert LinearBetas() == DiscreteVP(np.linspace(1e-4, 0.02, 1000)) == LinearBetas()
    assert hash(LinearBetas()) == hash(DiscreteVP(np.linspace(1e-4, 0.02, 1000)))
    kinds = [DiscreteVP.linear(), DiscreteVP.scaled_linear(), DiscreteVP.cosine(), LinearVP(), Flow(), Flow(3.0)]
    assert len(set(kinds)) == len(kinds) and len({*kinds, *kinds, Flow(3)}) == len(kinds)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "cosin"}, "unknown noise schedule 'cosin'; choose one of: cosine, "),
        ({"kind": 5}, "noise schedule of kind 5: expected one of betas, cosine, "),
        ([], "noise schedule []: expected a table with a kind and its keys"),
        ({"beta_strat": 1e-4}, "noise schedule 'linear': unknown key 'beta_strat'; choose one of: beta_start, "),
        # Once these two were passed over, and linear betas of 1,000 steps were used.
        ({"beta_schedule": "scaled_linear"}, "noise schedule 'linear': unknown key 'beta_schedule'; choose one of: "),
        ({"steps": 0}, "noise schedule 'linear': steps = 0: expected a whole number from 1 to 1000000"),
        ({"steps": 1.5}, "noise schedule 'linear': steps = 1.5, expected a whole number"),
        ({"beta_start": "1e-4"}, "noise schedule 'linear': beta_start = '1e-4', expected a number"),
        ({"beta_end": 1.0}, "noise schedule 'linear': beta_end = 1.0: expected a number between 0 and 1"),
        ({"beta_end": float("nan")}, "noise schedule 'linear': beta_end = nan, expected a finite number"),
        ({"zero_terminal_snr": 1}, "noise schedule 'linear': zero_terminal_snr = 1, expected true or false"),
        ({"kind": "cosine", "beta_end": 0.1}, "noise schedule 'cosine': unknown key 'beta_end'; choose one of: "),
        ({"kind": "cosine", "max_beta": 1}, "noise schedule 'cosine': max_beta = 1.0: expected a number between 0"),
        ({"kind": "betas"}, "noise schedule 'betas' lacks the key 'betas'"),
        ({"kind": "betas", "betas": 0.1}, "noise schedule 'betas': betas = 0.1, expected a list"),
        ({"kind": "betas", "betas": [0.1, "b"]}, "noise schedule 'betas': betas#2 = 'b', expected a number"),
        ({"kind": "betas", "betas": []}, "noise schedule 'betas': betas of shape (0,): expected a list of numbers"),
        ({"kind": "betas", "betas": [0.1, 1.5]}, "noise schedule 'betas': betas[1] = 1.5, of 2: expected numbers"),
        ({"kind": "linear-vp", "beta_0": 30.0}, "noise schedule 'linear-vp': beta_0=30.0, beta_1=20.0: expected 0 <"),
        ({"kind": "linear-vp", "zero_terminal_snr": True}, "noise schedule 'linear-vp': unknown key 'zero_terminal"),
        ({"kind": "flow", "shift": -1.0}, "noise schedule 'flow': shift = -1.0: expected a positive number"),
        ({"kind": "flow", "shfit": 3.0}, "noise schedule 'flow': unknown key 'shfit'; choose one of: shift, steps"),
    ],
)
def test_a_bad_table_is_one_line(table, message):
    with pytest.raises(InputError) as caught:
        make_noise(table)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_table_of_another_kind_is_refused():
    with pytest.raises(InputError, match=r"^noise schedule 'flow' cannot be made from a table of kind 'linear'$"):
        Flow.from_table({"kind": "linear"})


def test_importing_does_not_wait_for_plug_ins_or_pydantic():
    code = "import sys, omsdpm.noise; print(*{'pydantic', 'importlib.metadata', 'torch', 'scipy'} & set(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == ""
