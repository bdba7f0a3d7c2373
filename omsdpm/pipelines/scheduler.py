"""A compiled plan as a scheduler of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils.torch_utils import randn_tensor

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.sampling import combine, fresh_noise, last_uses
from omsdpm.solvers import Combination, Plan, Stage
from omsdpm.zoo.member import Member

NEAR = 0.01
"""How far a timestep that a pipeline asks for may be from the stage's, which float32 rounds."""


class Stepped(NamedTuple):
    """What :meth:`PlanScheduler.step` returns.

    Attributes:
        prev_sample: the next stage's input, or the image after the last.
        pred_original_sample: the same; pipelines read it after a single step, which ends in the image.
    """

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor


class PlanScheduler(SchedulerMixin, ConfigMixin):
    """Steps through the stages of a plan, whichever solver it is of.

    A pipeline evaluates its denoiser once at each of :attr:`timesteps` and hands over the output; what it gets
    back is the next stage's input, whatever that is to the solver, and in the end the image.

    Args:
        plan: what is executed.
        members: by their number in the plan: they say what an output predicts.
        noise: the schedule that the members were trained on.
        seed: of the fresh noise where the plan has some, as :func:`omsdpm.sampling.sample` draws it; ``None``
            draws it from the generator of the pipeline's call.
        num_train_timesteps: that the members were trained on.
    """

    order = 1
    init_noise_sigma = 1.0
    ignore_for_config = ["plan", "members", "noise", "seed"]  # noqa: RUF012  # so ConfigMixin declares it

    @register_to_config
    def __init__(
        self,
        *,  # register_to_config would take one argument by place for another
        plan: Plan,
        members: Mapping[int, Member],
        noise: Noise,
        seed: int | None = None,
        num_train_timesteps: int = 1000,
    ) -> None:
        self.plan = plan
        self.members = dict(members)
        self.noise = noise
        self.seed = seed
        self._last_uses = last_uses(plan)
        self.set_timesteps()

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        **others: Any,
    ) -> None:
        """Begins anew; the timesteps are the plan's, whatever a pipeline asks for."""
        inputs = np.array([stage.timestep for stage in self.plan.stages])
        self.timesteps = torch.tensor(inputs, dtype=torch.float32, device=device)
        self.sigmas = torch.tensor(np.append(self.noise.sigma(self.noise.time(inputs)), 0.0), dtype=torch.float32)
        self.num_inference_steps = len(self.timesteps)
        self.begin_index: int | None = None
        self.awaiting = ""
        """What the denoiser was not called for yet, as an error says it."""
        self._done = 0
        self._states: dict[int, torch.Tensor] = {}
        self._outputs: dict[int, torch.Tensor] = {}
        self._rests: dict[int, torch.Tensor] = {}

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Told by pipelines where they begin.

        Raises:
            InputError: elsewhere than at the first stage.
        """
        if begin_index:
            raise InputError(f"a schedule is sampled from its noise end, not from its evaluation {begin_index}: "
                             "use strength=1, and no denoising_start")  # fmt: skip
        self.begin_index = begin_index

    @property
    def step_index(self) -> int:
        """Stages done."""
        return self._done

    @property
    def stage(self) -> Stage:
        """The stage whose evaluation is next.

        Raises:
            InputError: all are done.
        """
        if self._done == self.plan.nfe:
            raise InputError(f"all {self.plan.nfe} evaluations of the schedule are done: call set_timesteps first")
        return self.plan.stages[self._done]

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """``sample`` itself: states are what networks take."""
        return sample

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        return_dict: bool = True,
        **others: Any,
    ) -> Stepped | tuple[torch.Tensor, ...]:
        """From a stage's input and its member's output to the next stage's input, or to the image.

        Args:
            model_output: of the network, guided already; a learned variance is cut off.
            timestep: the stage's.
            sample: ``(n, ...)`` what the network was given.
            generator: of fresh noise, where there is any and the scheduler has no seed.
            return_dict: whether names are wanted.
            others: what other schedulers take.

        Raises:
            InputError: another timestep than the stage's, or a member that waits for guidance.
        """
        stage = self.stage
        if self.awaiting:
            raise InputError(self.awaiting)
        if abs(float(timestep) - stage.timestep) > NEAR:
            raise InputError(f"evaluation {self._done} of the schedule is at timestep {stage.timestep:g}, the pipeline "
                             f"steps from {float(timestep):g}: it is sampled whole, from its noise end")  # fmt: skip
        self._done += 1
        x = sample.to(torch.promote_types(sample.dtype, torch.float32))
        if self._done == 1:
            self._states[0] = x
        output = model_output
        if output.shape != x.shape and output.shape[1] == 2 * x.shape[1]:
            output = output[:, : x.shape[1]]
        self._states[self._done] = x
        member, output = self.members[stage.model], output.to(x.dtype)
        self._outputs[self._done] = member.reading(output, x, stage.timestep, stage.predicts)
        rest = member.rest(output, x, stage.timestep)
        if rest is not None:
            self._rests[self._done] = rest
        following = self.plan.closing if self._done == self.plan.nfe else self.plan.stages[self._done].input
        stepped = combine(following, self._states, self._outputs, lambda at: self._fresh(at, x, generator), self._rests)
        self._forget(following)
        stepped = stepped.to(sample.dtype)
        return Stepped(stepped, stepped) if return_dict else (stepped, stepped)

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """``alpha x_0 + sigma eps`` at timesteps ``(n,)``."""
        time = self.noise.time(timesteps.cpu().double().numpy())
        shape = (-1, *[1] * (original_samples.ndim - 1))
        alpha, sigma = (
            torch.as_tensor(weight).to(original_samples).view(shape)
            for weight in (self.noise.alpha(time), self.noise.sigma(time))
        )
        return alpha * original_samples + sigma * noise

    def __len__(self) -> int:
        return self.noise.steps

    def _fresh(self, timestep: float, like: torch.Tensor, generator: Any) -> torch.Tensor:
        if self.seed is not None:
            return fresh_noise(timestep, self.seed, like)
        drawn: torch.Tensor = randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        return drawn

    def _forget(self, done: Combination) -> None:
        """Lets go of what no later stage refers to."""
        uses, number = self._last_uses, self._done + 1
        self._states = {j: state for j, state in self._states.items() if uses.get(j, 0) > number}
        self._outputs = {j: output for j, output in self._outputs.items() if uses.get(-j, 0) > number}
        self._rests = {j: rest for j, rest in self._rests.items() if uses.get(-j, 0) > number}
