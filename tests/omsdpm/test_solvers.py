import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, MultistepSpace
from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.sampling import sample
from omsdpm.solvers import compile_plan


def denoisers(n):
    """The golden vectors' test networks."""

    def member(k):
        return lambda x, t: torch.sin((0.5 + 0.25 * k) * x + k * t / 1000)

    return [member(k) for k in range(1, n + 1)]


def relative_error(ours, reference):
    return np.abs(np.asarray(ours) - reference).max() / np.abs(reference).max()


@pytest.mark.parametrize("case", range(12))
def test_ddim_equals_the_release(golden, case):
    meta, arrays = golden("ddim_sampling")
    schedule = meta["schedules"][case]
    x_T = torch.from_numpy(arrays["x_T"])
    x_0 = sample(denoisers(6), schedule, x_T, space=DDIMSpace(6, len(schedule)), noise=DiscreteVP.linear())
    assert x_0.dtype == torch.float64
    assert relative_error(x_0, arrays["x_0"][case]) < 1e-12


@pytest.mark.parametrize("case", range(16))
def test_dpm_solver_equals_the_release(golden, case):
    meta, arrays = golden("dpm_solver_sampling")
    schedule, run = meta["schedules"][case], meta["runs"][case]
    space = DPMSolverSpace(6, len(schedule) // 3)
    x_T = torch.from_numpy(arrays["x_T"])
    x_0 = sample(denoisers(6), schedule, x_T, space=space, noise=LinearVP(0.1, 20.0), spacing=run["skip_type"])
    assert relative_error(x_0, arrays["x_0"][case]) < 1e-11


def diffusers_run(scheduler, timesteps, x, **step):
    """Samples member 1 with a diffusers scheduler, in float64."""
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    (model,) = denoisers(1)
    for t in timesteps:
        x = scheduler.step(model(x, float(t)), t, x, **step).prev_sample
    return x


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_agrees_with_diffusers(eta):
    space = DDIMSpace(1, 20)
    betas = np.linspace(1e-4, 0.02, 1000)
    scheduler = DDIMScheduler(trained_betas=betas, clip_sample=False, timestep_spacing="leading", set_alpha_to_one=True)
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == space.timesteps[::-1].tolist()
    x_T = torch.randn(3, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x_T
    scheduler.alphas_cumprod = torch.from_numpy(np.cumprod(1 - betas))
    (model,) = denoisers(1)
    plan = compile_plan([1] * 20, space, DiscreteVP(betas), eta=eta)
    combinations = [stage.input for stage in plan.stages[1:]] + [plan.closing]
    for t, combination in zip(scheduler.timesteps, combinations, strict=True):
        e = model(x, float(t))
        z = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(int(t)))
        ours = combination.states[0][1] * x + combination.outputs[0][1] * e
        if combination.noise is not None:
            assert combination.noise[0] == int(t)
            ours = ours + combination.noise[1] * z
        x = scheduler.step(e, t, x, eta=eta, variance_noise=z if eta else None).prev_sample
        assert relative_error(ours, x.numpy()) < 1e-6  # diffusers keeps its last alpha_bar in float32
        x = ours


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_multistep_agrees_with_diffusers(steps):
    space = MultistepSpace(1, 20)
    active = np.unique(np.linspace(0, 19, steps).round().astype(int))[::-1]
    schedule = np.zeros(20, int)
    schedule[active] = 1
    scheduler = DPMSolverMultistepScheduler(
        trained_betas=np.linspace(1e-4, 0.02, 1000),
        solver_order=2,
        algorithm_type="dpmsolver++",
        final_sigmas_type="zero",
        lower_order_final=False,
        euler_at_final=True,
    )
    scheduler.set_timesteps(timesteps=space.timesteps[active].tolist())
    x_T = torch.randn(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reference = diffusers_run(scheduler, scheduler.timesteps, x_T)
    ours = sample(denoisers(1), schedule, x_T, space=space, noise=DiscreteVP.linear())
    assert relative_error(ours, reference.numpy()) < 1e-5  # diffusers' sigmas are float32


@pytest.mark.parametrize("order", [1, 2, 3])
def test_singlestep_update_agrees_with_diffusers(order):
    """One DPM-Solver step of each order, at diffusers' own spacing of its stages."""
    noise = LinearVP()
    schedule = [1] * order + [0] * (3 - order)
    plan = compile_plan(schedule, DPMSolverSpace(1, 1), noise, t_end=0.3)
    scheduler = DPMSolverSinglestepScheduler(
        solver_order=order, algorithm_type="dpmsolver", final_sigmas_type="sigma_min", lower_order_final=False
    )
    # Its update takes sigmas in the (alpha, sigma) = (1, sigma) scaling, one a stage and the end.
    lam = np.linspace(*(np.log(np.exp(a) / np.sqrt(-np.expm1(2 * a))) for a in noise.log_alpha([1.0, 0.3])), order + 1)
    scheduler.sigmas = torch.from_numpy(np.exp(-lam))
    scheduler.order_list = [order]
    x_T = torch.randn(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (model,) = denoisers(1)
    outputs, states = [], {0: x_T}
    for number, stage in enumerate(plan.stages, start=1):
        x = sum(w * states[j] for j, w in stage.input.states)
        x = x + sum((w * outputs[j - 1] for j, w in stage.input.outputs), torch.zeros_like(x))
        states[number] = x
        outputs.append(model(x, stage.timestep))
        scheduler._step_index = number - 1
        partial = scheduler.singlestep_dpm_solver_update(outputs, sample=x_T, order=number)
    closing = sum(w * states[j] for j, w in plan.closing.states)
    closing = closing + sum(w * outputs[j - 1] for j, w in plan.closing.outputs)
    assert relative_error(closing, partial.numpy()) < 1e-10


def test_higher_orders_converge_faster():
    """On a smooth problem, halving the steps multiplies the error by about ``2 ** order``."""
    noise = LinearVP()
    x_T = torch.linspace(-2, 2, 9, dtype=torch.float64)[None]

    def field(x, t):
        return torch.tanh(x)  # smooth in x, the same at all times

    def run(order, solvers):
        space = DPMSolverSpace(1, solvers)
        schedule = ([1] * order + [0] * (3 - order)) * solvers
        return sample([field], schedule, x_T, space=space, noise=noise, t_end=1e-2)

    exact = run(3, 400)
    for order in (1, 2, 3):
        coarse = (run(order, 20) - exact).abs().max()
        fine = (run(order, 40) - exact).abs().max()
        assert 2 ** (order - 0.5) < coarse / fine < 2 ** (order + 0.8)


def test_plans_are_plain_numbers_and_share_their_beginnings():
    space, noise = DDIMSpace(3, 5), DiscreteVP.linear()
    plan, other = (compile_plan(x, space, noise) for x in ([0, 1, 0, 2, 3], [2, 0, 0, 2, 3]))
    assert plan.nfe == 3
    assert plan.models.tolist() == [3, 2, 1]
    assert plan.latency([1, 10, 100]) == 111
    assert plan.stages[:2] == other.stages[:2]
    assert plan.stages[2] != other.stages[2]


def test_end_time_depends_on_the_number_of_evaluations():
    space, noise = DPMSolverSpace(1, 15), LinearVP()

    def last_timestep_weight(nfe):
        return compile_plan([1, 0, 0] * nfe + [0, 0, 0] * (15 - nfe), space, noise)

    explicit = compile_plan([1, 0, 0] * 14 + [0, 0, 0], space, noise, t_end=1e-3)
    assert last_timestep_weight(14) == explicit
    assert last_timestep_weight(15) == compile_plan([1, 0, 0] * 15, space, noise, t_end=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compile_plan([0, 0], DDIMSpace(1, 2), DiscreteVP.linear()), "all null"),
        (lambda: compile_plan([[1, 0]], DDIMSpace(1, 2), DiscreteVP.linear()), "one schedule"),
        (lambda: compile_plan([1, 0, 0], DPMSolverSpace(1, 1), LinearVP(), "logsnr"), "spacing 'logsnr'"),
        (lambda: compile_plan([1, 0, 0], DPMSolverSpace(1, 1), LinearVP(), eta=0.5), "only DDIM"),
        (lambda: compile_plan([1, 0], DDIMSpace(1, 2), DiscreteVP.linear(), eta=2.0), "from 0 to 1"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
