"""Schedules read from ``scheduler_config.json`` are those of the diffusers schedulers that wrote it."""

import inspect
import json

import diffusers
import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.noise import Flow, make_noise, noise_from_scheduler_config
from omsdpm.noise.scheduler_config import READERS

TOLERANCE = 1e-6
"""Diffusers computes in float32."""

BETAS = {
    "linear": {"beta_schedule": "linear"},
    "linear-100": {"beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.2, "num_train_timesteps": 100},
    "stable-diffusion": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "cosine-50": {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 50},
    "trained": {"trained_betas": [0.01, 0.3, 0.2, 0.1, 0.5], "num_train_timesteps": 5},
}
KINDS = {
    "linear": "linear",
    "linear-100": "linear",
    "stable-diffusion": "scaled-linear",
    "cosine": "cosine",
    "cosine-50": "cosine",
    "trained": "betas",
}


def has(name, parameter):
    return parameter in inspect.signature(getattr(diffusers, name)).parameters


OF_BETAS = [name for name in READERS if name != "FlowMatchEulerDiscreteScheduler"]
OF_FLOW = [name for name in READERS if has(name, "use_flow_sigmas")]
RESCALES = [(name, True) for name in OF_BETAS if has(name, "rescale_betas_zero_snr")]


def saved(scheduler, folder):
    """What its ``scheduler_config.json`` says."""
    scheduler.save_pretrained(folder)
    return json.loads((folder / "scheduler_config.json").read_text())


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize(("name", "rescale"), [*((name, False) for name in OF_BETAS), *RESCALES])
def test_betas_are_those_of_diffusers(name, betas, rescale, tmp_path):
    given = {**BETAS[betas], **({"rescale_betas_zero_snr": True} if rescale else {})}
    scheduler = getattr(diffusers, name)(**given)
    noise = noise_from_scheduler_config(saved(scheduler, tmp_path))
    timesteps = np.arange(scheduler.config.num_train_timesteps)
    assert (noise.kind, noise.steps) == (KINDS[betas], len(timesteps))
    alpha_bar = scheduler.alphas_cumprod.double().numpy()
    np.testing.assert_allclose(noise.alpha_bar(timesteps), alpha_bar, rtol=0, atol=TOLERANCE)
    t = noise.time(timesteps)
    # Before the square root, which magnifies what float32 leaves of small numbers.
    np.testing.assert_allclose(noise.sigma(t) ** 2, 1 - alpha_bar, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(noise.timestep(t), timesteps, rtol=1e-12, atol=1e-9)
    assert (noise.alpha_bar(timesteps[-1]) == 0) == rescale
    assert make_noise(noise.table()) == noise


@pytest.mark.parametrize("betas", ["linear", "stable-diffusion", "cosine"])
def test_sigmas_of_euler_are_noise_over_signal(betas, tmp_path):
    scheduler = diffusers.EulerDiscreteScheduler(**BETAS[betas])
    noise = noise_from_scheduler_config(saved(scheduler, tmp_path))
    t = noise.time(scheduler.timesteps.numpy())
    ours = noise.sigma(t) / noise.alpha(t)
    theirs = scheduler.sigmas[:-1].double().numpy()
    # 1 - alpha_bar of the first timesteps has four digits in float32.
    np.testing.assert_allclose(np.exp(-noise.lam(t)), theirs, rtol=3e-4)
    np.testing.assert_allclose(ours**2 / (1 + ours**2), theirs**2 / (1 + theirs**2), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("steps", [1000, 250])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_is_that_of_diffusers(shift, steps, tmp_path):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift, num_train_timesteps=steps)
    noise = noise_from_scheduler_config(saved(scheduler, tmp_path))
    assert noise == Flow(shift, steps)
    # As networks were trained, ...
    t = np.arange(steps, 0, -1) / steps
    sigmas, timesteps = scheduler.sigmas.double().numpy(), scheduler.timesteps.double().numpy()
    np.testing.assert_allclose(noise.sigma(t), sigmas, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(noise.alpha(t), 1 - sigmas, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(noise.timestep(t), timesteps, rtol=TOLERANCE)
    np.testing.assert_allclose(noise.time(timesteps), t, rtol=0, atol=3 * TOLERANCE)
    # ... and as pipelines sample that say their sigmas before the shift.
    t = np.linspace(1, 1 / 7, 7)
    scheduler.set_timesteps(sigmas=t)
    np.testing.assert_allclose(noise.sigma(t), scheduler.sigmas[:-1].numpy(), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(noise.timestep(t), scheduler.timesteps.numpy(), rtol=TOLERANCE)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", OF_FLOW)
def test_multistep_solvers_of_flows_are_read(name, shift, tmp_path):
    given = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
    scheduler = getattr(diffusers, name)(**given)
    noise = noise_from_scheduler_config(saved(scheduler, tmp_path))
    assert noise == Flow(shift)
    scheduler.set_timesteps(10)
    sigmas = scheduler.sigmas[1:-1].double().numpy()  # some keep away from the first, where there is no signal
    t = noise.inverse_lambda(np.log((1 - sigmas) / sigmas))
    np.testing.assert_allclose(noise.sigma(t), sigmas, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(t, np.linspace(1, 1e-3, 11)[1:-1], rtol=0, atol=2e-3)  # before the shift, nearly even
    assert np.abs(noise.timestep(t) - scheduler.timesteps[1:].numpy()).max() <= 1  # theirs are whole


@pytest.mark.parametrize("name", READERS)
def test_what_a_file_leaves_out_is_as_in_diffusers(name, tmp_path):
    full = noise_from_scheduler_config(saved(getattr(diffusers, name)(), tmp_path))
    assert noise_from_scheduler_config({"_class_name": name}) == full
    defaults = inspect.signature(getattr(diffusers, name)).parameters
    for key, parameter in inspect.signature(READERS[name]).parameters.items():
        assert key not in defaults or defaults[key].default == parameter.default


def test_networks_are_rescaled_even_if_the_scheduler_is_not():
    config = {"rescale_betas_zero_snr": True}
    pndm, ddim = (
        noise_from_scheduler_config({"_class_name": name, **config}) for name in ("PNDMScheduler", "DDIMScheduler")
    )
    assert pndm == ddim and pndm.lam(1.0) == -np.inf


def test_null_is_left_out():
    config = {"_class_name": "EulerDiscreteScheduler", "trained_betas": None, "timestep_type": None}
    assert noise_from_scheduler_config(config).kind == "linear"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "lacks the key '_class_name': expected one of DDIMScheduler, "),
        ({"_class_name": "DDIMSheduler"}, "unknown scheduler 'DDIMSheduler'; choose one of: DDIMScheduler, "),
        ({"_class_name": "EDMEulerScheduler"}, "unknown scheduler 'EDMEulerScheduler'; choose one of: "),
        ({"_class_name": 5}, "unknown scheduler '5'; choose one of: "),
        (
            {"_class_name": "DDPMScheduler", "beta_schedule": "sigmoid"},
            "DDPMScheduler: unknown beta_schedule 'sigmoid'; choose one of: scaled_linear, squaredcos_cap_v2, linear",
        ),
        ({"_class_name": "DDPMScheduler", "beta_start": "small"}, "beta_start = 'small', expected a number"),
        ({"_class_name": "DDPMScheduler", "beta_start": -1.0}, "DDPMScheduler: beta_start = -1.0: expected a number"),
        ({"_class_name": "DDPMScheduler", "num_train_timesteps": 0}, "DDPMScheduler: steps = 0: expected a whole"),
        (
            {"_class_name": "DDPMScheduler", "trained_betas": [0.1, 0.2]},
            "DDPMScheduler: 2 trained_betas for num_train_timesteps = 1000: expected as many",
        ),
        (
            {"_class_name": "DDPMScheduler", "trained_betas": [0.1, 2.0], "num_train_timesteps": 2},
            "DDPMScheduler: betas[1] = 2, of 2: expected numbers between 0 and 1",
        ),
        (
            {"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"},
            "EulerDiscreteScheduler: timestep_type 'continuous' is not supported, only 'discrete'",
        ),
        (
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True},
            "use_dynamic_shifting: the shift depends on the size of the image",
        ),
        (
            {"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True, "use_dynamic_shifting": True},
            "UniPCMultistepScheduler: use_dynamic_shifting: the shift depends on the size of the image",
        ),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": True}, "invert_sigmas is not supported"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 0}, "shift = 0.0: expected a positive number"),
        (["DDPMScheduler"], "['DDPMScheduler'] is no table of keys and values"),
    ],
)
def test_what_is_not_supported_is_one_line(config, message):
    with pytest.raises(InputError) as caught:
        noise_from_scheduler_config(config)
    assert str(caught.value).startswith("scheduler_config.json") and message in str(caught.value)
    assert "\n" not in str(caught.value)
