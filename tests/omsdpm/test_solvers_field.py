"""Solvers and grids of the field: UniPC, slots at any times, other noise schedules, against diffusers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, MultistepSpace, UniPCSpace, make_space
from omsdpm.noise import DiscreteVP, Flow, LinearVP, make_noise
from omsdpm.sampling import sample
from omsdpm.solvers import SolverOptions, compile_plan, solver_names, space_from_table

SPREAD = 0.5


def gaussian(noise, mean=0.3):
    """The best prediction of noise for images ``N(mean, SPREAD^2)``, as a nonlinear network would not give it."""

    def eps(x, t):
        time = noise.time(float(t))
        alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
        exact = sigma * (x - alpha * mean) / (alpha**2 * SPREAD**2 + sigma**2)
        return exact + 0.05 * torch.tanh(x)

    return eps


def run(scheduler, timesteps, eps, x):
    """What a scheduler of diffusers makes of ``x`` at timesteps it was set to."""
    for t in timesteps:
        x = scheduler.step(eps(x, t), t, x).prev_sample
    return x


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 25])
def test_unipc_is_that_of_diffusers(steps):
    noise = DiscreteVP.linear()
    scheduler = UniPCMultistepScheduler(
        beta_start=1e-4, beta_end=0.02, beta_schedule="linear", solver_order=2, solver_type="bh2",
        timestep_spacing="trailing", final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    grid = [float(t) for t in scheduler.timesteps]
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eps = gaussian(noise)
    theirs = run(scheduler, scheduler.timesteps, eps, x.clone())
    space = make_space("unipc", 1, steps, timesteps=grid)
    ours = sample([eps], [1] * steps, x, space=space, noise=noise)
    assert torch.allclose(ours, theirs, atol=2e-5), (ours - theirs).abs().max()


def test_unipc_is_of_second_order_and_better_than_its_predictor():
    noise = DiscreteVP.linear()

    def exact(x, t):
        time = noise.time(float(t))
        alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
        return sigma * x / (alpha**2 * SPREAD**2 + sigma**2)

    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)

    def error(space, steps):
        # From 999 to 0 on an even grid in lambda; the last step from there on is the same for all.
        lams = np.linspace(*noise.lam([1.0, 1e-3]), steps)
        grid = noise.timestep(noise.inverse_lambda(lams)).tolist()
        found = sample([exact], [1] * steps, x, space=make_space(space, 1, steps, timesteps=grid), noise=noise)
        first = float(noise.alpha(1.0) ** 2 * SPREAD**2 + noise.sigma(1.0) ** 2) ** 0.5
        return abs(float(found) - SPREAD / first)

    assert error("unipc", 40) < error("dpm-solver++", 40)
    assert error("unipc", 80) < 0.35 * error("unipc", 40)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddim_on_the_grids_of_schedulers(spacing):
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, timestep_spacing=spacing,
        clip_sample=False, set_alpha_to_one=True,
    )  # fmt: skip
    scheduler.set_timesteps(10)
    noise = DiscreteVP.scaled_linear(0.00085, 0.012)
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eps = gaussian(noise)
    theirs = run(scheduler, scheduler.timesteps, eps, x.clone())
    space = DDIMSpace(1, 10, tuple(float(t) for t in scheduler.timesteps))
    assert torch.allclose(sample([eps], [1] * 10, x, space=space, noise=noise), theirs, atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_ddim_on_flow_matching_is_euler(shift):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(8)
    noise = Flow(shift=shift)

    class Velocity:
        """Predicts ``eps - x_0``; its image prediction is right where there is only noise, too."""

        def velocity(self, x, t):
            return 0.7 * x - 0.2 * torch.tanh(x) + 0.0003 * float(t)

        def __call__(self, x, t):
            sigma = float(noise.sigma(noise.time(float(t))))
            return x + (1 - sigma) * self.velocity(x, t)

        def predict(self, x, t, target):
            assert target == "sample"
            return x - float(noise.sigma(noise.time(float(t)))) * self.velocity(x, t)

    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network, theirs = Velocity(), x.clone()
    for t in scheduler.timesteps:
        theirs = scheduler.step(network.velocity(theirs, t), t, theirs).prev_sample
    space = DDIMSpace(1, 8, tuple(float(t) for t in scheduler.timesteps))
    plan = compile_plan([1] * 8, space, noise)
    assert [stage.predicts for stage in plan.stages] == ["sample", *["epsilon"] * 7]
    ours = sample([network], [1] * 8, x, space=space, noise=noise)
    assert torch.allclose(ours, theirs.double(), atol=1e-5), (ours - theirs).abs().max()


def test_pure_noise_needs_a_prediction_of_the_image():
    space = DDIMSpace(1, 2, (1000.0, 500.0))
    x = torch.zeros(1, 1, 2, 2)
    with pytest.raises(InputError, match=r"timestep 1 of|pure noise.*predict"):
        sample([lambda x, t: x], [1, 1], x, space=space, noise=Flow())


@pytest.mark.parametrize("solver", ["dpm-solver++", "unipc"])
def test_multistep_solvers_start_from_zero_terminal_snr(solver):
    noise = make_noise({"kind": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012, "zero_terminal_snr": True})
    grid = (999.0, 749.5, 499.0, 249.0)

    class Exact:
        def __call__(self, x, t):
            time = noise.time(float(t))
            alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
            return sigma * x / (alpha**2 * SPREAD**2 + sigma**2)

        def predict(self, x, t, target):
            time = noise.time(float(t))
            alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
            return alpha * SPREAD**2 * x / (alpha**2 * SPREAD**2 + sigma**2)

    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    found = sample([Exact()], [1] * 4, x, space=make_space(solver, 1, 4, timesteps=grid), noise=noise)
    assert torch.isfinite(found).all()
    assert 0 <= float(found) < 1


def test_dpm_solver_on_cosine_betas_knows_their_signal():
    noise = DPMSolverSpace(1, 2).solver_noise(DiscreteVP.cosine())
    assert float(noise.alpha(noise.time(500)) ** 2) == pytest.approx(0.49, abs=0.005)
    stable = DPMSolverSpace(1, 2).solver_noise(DiscreteVP.scaled_linear(0.00085, 0.012))
    assert float(np.log(stable.alpha(0.5))) == pytest.approx(-0.641, abs=0.001)
    assert isinstance(DPMSolverSpace(1, 2).solver_noise(DiscreteVP.linear()), LinearVP)


@pytest.mark.parametrize("betas", ["squaredcos_cap_v2", "scaled_linear"])
def test_second_order_on_other_betas_is_that_of_diffusers(betas):
    kinds = {"squaredcos_cap_v2": DiscreteVP.cosine(), "scaled_linear": DiscreteVP.scaled_linear(0.0001, 0.02)}
    noise, scheduler = kinds[betas], DPMSolverMultistepScheduler(
        beta_schedule=betas, timestep_spacing="leading", final_sigmas_type="zero", algorithm_type="dpmsolver++",
        lower_order_final=True, euler_at_final=False, lambda_min_clipped=-5.1,
    )  # fmt: skip
    scheduler.set_timesteps(12)
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eps = gaussian(noise)
    theirs = run(scheduler, scheduler.timesteps, eps, x.clone())
    space = MultistepSpace(1, 12, tuple(float(t) for t in scheduler.timesteps))
    assert torch.allclose(sample([eps], [1] * 12, x, space=space, noise=noise), theirs, atol=1e-4)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("kind", ["cosine", "scaled-linear"])
def test_single_step_solvers_converge_on_other_betas(kind, order):
    noise = make_noise({"kind": kind})

    def exact(x, t):
        time = noise.time(min(max(float(t), 0.0), 999.0))
        alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
        return sigma * x / (alpha**2 * SPREAD**2 + sigma**2)

    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    group = [1] * order + [0] * (3 - order)
    t_end = 0.01
    first, last = (float(noise.alpha(t) ** 2 * SPREAD**2 + noise.sigma(t) ** 2) ** 0.5 for t in (noise.t_start, t_end))

    def error(solvers):
        space = DPMSolverSpace(1, solvers)
        found = sample([exact], group * solvers, x, space=space, noise=noise, options=SolverOptions(t_end=t_end))
        return abs(float(found) - last / first)

    assert error(40) < 0.05
    assert error(40) < 0.6 * error(20)


def test_spaces_with_times_of_their_own_compare_and_travel():
    grid = (999.0, 640.25, 12.0)
    space = make_space("ddim", 2, 3, timesteps=grid)
    assert space == DDIMSpace(2, 3, grid) != DDIMSpace(2, 3)
    assert hash(space) == hash(DDIMSpace(2, 3, grid))
    assert space_from_table(space.table()) == space
    assert space.timesteps.tolist() == [12.0, 640.25, 999.0]
    assert repr(DDIMSpace(6, 25)) == "DDIMSpace(num_models=6, length=25)"
    assert [stage.timestep for stage in compile_plan([1, 0, 2], space, DiscreteVP.linear()).stages] == [999.0, 12.0]


def test_ancestral_noise_between_whole_timesteps_is_its_own():
    noise = DiscreteVP.linear()
    x = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    images = [
        sample([gaussian(noise)], [1, 1], x, space=DDIMSpace(1, 2, (900.0, t)), noise=noise, eta=1.0)
        for t in (500.0, 500.25, 500.0)
    ]
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])


@pytest.mark.parametrize(
    ("timesteps", "message"),
    [
        ((10.0, 20.0, 30.0), "timesteps fall from the noise to the image, but 20 follows 10"),
        ((30.0, 30.0, 1.0), "30 follows 30"),
        ((30.0, 20.0), "2 timesteps for 3 slots"),
        ((30.0, 20.0, -1.0), "expected 0 or more"),
        ((float("inf"), 20.0, 1.0), "expected 0 or more"),
        (("a", 20.0, 1.0), "expected numbers"),
    ],
)
def test_times_that_are_none_are_refused(timesteps, message):
    with pytest.raises(InputError, match=message):
        make_space("ddim", 2, 3, timesteps=timesteps)


def test_times_outside_the_schedule_are_refused():
    with pytest.raises(InputError, match=r"timestep 1000 is outside 0\.\.999"):
        DDIMSpace(2, 2, (1000.0, 3.0)).solver_noise(DiscreteVP.linear())


def test_dpm_solver_places_its_solvers_itself():
    with pytest.raises(InputError, match="places its solvers itself"):
        make_space("dpm-solver", 2, 3, timesteps=(3.0, 2.0, 1.0))


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (DDIMSpace(1, 2), {"spacing": "time_uniform"}, "ddim has none"),
        (DPMSolverSpace(1, 2), {"spacing": "log"}, "choose one of logSNR, time_uniform"),
        (UniPCSpace(1, 2), {"eta": 0.5}, "only DDIM takes it"),
        (MultistepSpace(1, 2), {"t_end": 0.1}, "only DDIM and DPM-Solver take it"),
        (DDIMSpace(1, 2), {"t_end": 0.1}, "t_end=0.1 is noisier than the slot at timestep 0: give 0.001 or less"),
    ],
)
def test_options_of_other_solvers_are_refused(space, options, message):
    with pytest.raises(InputError, match=message):
        compile_plan([1] * space.length, space, space.solver_noise(DiscreteVP.linear()), **options)


def test_all_solvers_are_found_by_name():
    assert {"ddim", "dpm-solver", "dpm-solver++", "unipc"} <= set(solver_names())
    for name in solver_names():
        space = make_space(name, 2, 6)
        assert (space.solver, space.num_models, space.length) == (name, 2, 6)
