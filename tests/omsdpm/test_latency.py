"""What schedules cost: tables with the costs of steps and switches, fitted to whole schedules, of several devices."""

from __future__ import annotations

import copy
import pickle
import shutil
import warnings

import numpy as np
import pytest

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ModelZoo
from omsdpm.errors import InputWarning
from omsdpm.latency import LatencyTable
from omsdpm.noise import LinearVP
from omsdpm.solvers import make_space, solver_names
from omsdpm.zoo import profile
from omsdpm.zoo.files import latency_names, read_latency_card, write_latency_card
from omsdpm.zoo.opening import open_zoo, read_latency_table
from omsdpm.zoo.profile import Profile, measure, profile_zoo


@pytest.mark.parametrize("solver", solver_names())
def test_a_step_and_a_switch_cost_what_the_plans_say(solver):
    space = make_space(solver, 3, 12)
    X = space.random(40, np.random.default_rng(1))
    noise = LinearVP(0.1, 20.0)
    table = LatencyTable([1.0, 2.5, 4.0], step=0.25, switch=0.75)
    if space.takes_timesteps:
        from omsdpm.noise import make_noise

        noise = space.solver_noise(make_noise({"kind": "linear"}))
    for x, cost in zip(X, space.latency(X, table), strict=True):
        models = space.plan(x, noise).models
        by_hand = sum(table[k - 1] for k in models) + 0.25 * len(models) + 0.75 * np.count_nonzero(np.diff(models))
        assert cost == pytest.approx(by_hand, rel=1e-12)


def test_a_plain_list_costs_the_sum_to_the_last_bit():
    rng = np.random.default_rng(3)
    space, ms = DDIMSpace(5, 20), (rng.random(5) * 9).tolist()
    X = space.random(50, rng)
    assert np.array_equal(space.latency(X, ms), space.latency(X, LatencyTable(ms)))
    assert repr(LatencyTable(ms)) == repr(ms) and LatencyTable(ms) == ms  # digests of benchmarks are of this text
    assert repr(LatencyTable(ms, switch=1.5)) != repr(ms)


def test_equal_schedules_cost_the_same_in_every_batch():
    rng = np.random.default_rng(4)
    space, table = DPMSolverSpace(4, 6), LatencyTable(rng.random(4) * 9, rng.random(), rng.random())
    X = space.random(60, rng)
    costs = space.latency(X, table)
    assert [float(space.latency(x, table)[0]) for x in X] == costs.tolist()
    assert np.array_equal(space.latency(X[::-1], table)[::-1], costs)
    assert np.array_equal(space.latency(space.canonical(X), table), costs)


def test_a_table_goes_where_lists_go_and_keeps_what_it_knows():
    table = LatencyTable([1, 2], 0.5, 0.25)
    for other in (copy.deepcopy(table), pickle.loads(pickle.dumps(table)), LatencyTable.of(table)):
        assert (other, other.step, other.switch) == ([1.0, 2.0], 0.5, 0.25)
    assert LatencyTable.from_facts(table.facts()).terms() == {"step": 0.5, "switch": 0.25}
    assert LatencyTable([3.0, 2.0]).facts() == {"latency_ms": [3.0, 2.0]}
    assert table.cheapest == 1.5
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="latency of a switch"):
            LatencyTable([1.0], switch=wrong)


def test_the_terms_are_fitted_to_whole_schedules():
    space = DDIMSpace(3, 8)
    X = space.random(30, np.random.default_rng(0))
    truth = LatencyTable([1.0, 2.0, 4.0], 0.3, 0.7)
    measured = Profile(list(truth), [], space, X, space.latency(X, truth))
    fitted = measured.fitted()
    assert (fitted.step, fitted.switch) == pytest.approx((0.3, 0.7))
    assert measured.error(fitted) < 1e-6 < 0.05 < measured.error([1.0, 2.0, 4.0])


def test_no_term_is_negative_where_schedules_take_less_than_their_members():
    space = DDIMSpace(2, 6)
    X = space.random(20, np.random.default_rng(0))
    faster = Profile([1.0, 2.0], [], space, X, 0.8 * space.latency(X, [1.0, 2.0]))
    assert faster.fitted().terms() == {} and faster.error(faster.fitted()) == pytest.approx(0.25)


@pytest.fixture
def zoo(tiny_zoo, tmp_path):
    return shutil.copytree(tiny_zoo, tmp_path / "zoo")


def clocked(monkeypatch, cost):
    """Lets evaluations and schedules take what ``cost`` says, in ms, instead of what they take."""
    monkeypatch.setattr(profile._Timed, "member", lambda self, number: cost([number + 1]))
    monkeypatch.setattr(profile._Timed, "schedule", lambda self, x: cost([k for k in x[::-1].tolist() if k]))


def slow_switches(members):
    return sum((1.0, 2.0, 4.0)[k - 1] for k in members) + 3.0 * np.count_nonzero(np.diff(members))


def test_a_profile_finds_what_switching_costs(zoo, monkeypatch):
    clocked(monkeypatch, slow_switches)
    card = profile_zoo(zoo, batch_size=2, repeats=4, other_batches=(3, 2, 3))
    assert card["ms"] == [1.0, 2.0, 4.0] and card["switch_ms"] == pytest.approx(3.0) and "step_ms" not in card
    assert card["error"] == 0.0 and card["error_of_sum"] > 0.3 and card["schedules"] == 9
    assert [one["batch_size"] for one in card["other_batches"]] == [3]
    assert read_latency_card(zoo) == card
    table = ModelZoo.load(zoo).latency
    assert (table, table.switch) == ([1.0, 2.0, 4.0], card["switch_ms"])
    assert ModelZoo.load(zoo).subset([3]).latency.switch == card["switch_ms"]
    assert read_latency_table(zoo).switch == open_zoo(zoo, latency=zoo).latency.switch == card["switch_ms"]


def test_a_table_that_is_far_off_is_warned_of(zoo, monkeypatch):
    clocked(monkeypatch, lambda members: 10.0 if len(members) == 1 else 5.0 * len(members))
    with pytest.warns(InputWarning, match="off the time of a whole schedule"):
        card = profile_zoo(zoo, batch_size=2, repeats=2)
    assert card["error"] == pytest.approx(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "error" not in profile_zoo(zoo, batch_size=2, repeats=2, schedules=0)


def test_whole_schedules_are_sampled_for_real(zoo):
    measured = measure(ModelZoo.load(zoo), batch_size=2, repeats=2, warmup=1, schedules=2)
    assert len(measured.X) == len(measured.whole) == 5 and (measured.whole > 0).all()
    assert (measured.space.nfe(measured.X)[:3] == 4).all() and (measured.space.switches(measured.X)[:3] == 0).all()


def test_devices_have_tables_of_their_own(zoo, monkeypatch):
    before = (zoo / "latency.toml").read_bytes()
    clocked(monkeypatch, slow_switches)
    profile_zoo(zoo, batch_size=2, repeats=1, name="a100")
    assert (zoo / "latency.toml").read_bytes() == before and latency_names(zoo) == ["a100"]
    assert read_latency_table(zoo / "latency-a100.toml").switch == 3.0
    with pytest.raises(InputError, match=r"name of a device '\.\./up'"):
        profile_zoo(zoo, batch_size=2, repeats=1, name="../up")


@pytest.mark.parametrize(
    "more, message",
    [
        ({"peak_mib": [1.0]}, "peak_mib has 1 latencies for 3 members"),
        ({"other_batches": [{"batch_size": 4, "ms": [1.0]}]}, "batch_size 4 has 1 latencies for 3 members"),
        ({"switch_ms": -1.0}, "switch_ms"),
        ({"step_ms": "fast"}, "step_ms"),
    ],
)
def test_tables_that_cannot_be_used_are_named(zoo, more, message):
    write_latency_card(zoo, {"ms": [1.0, 2.0, 4.0], **more})
    with pytest.raises(InputError, match=message):
        ModelZoo.load(zoo)


@pytest.mark.cuda
def test_peak_memory_of_each_member_is_measured(zoo):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    card = profile_zoo(zoo, batch_size=64, repeats=1, device="cuda")
    assert len(card["peak_mib"]) == 3 and min(card["peak_mib"]) > 0
