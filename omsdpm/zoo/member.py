"""A member of a zoo: a network as a predictor of the noise, whatever it predicts itself."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.devices import Parts
from omsdpm.errors import InputError
from omsdpm.networks.base import Network
from omsdpm.networks.predictions import check_prediction, convert
from omsdpm.noise import Noise

if TYPE_CHECKING:
    import torch


@dataclass
class Member:
    """One network as a noise predictor: ``member(x, t) -> eps``.

    Attributes:
        name: for tables and errors.
        network: what is evaluated.
        noise: the schedule it was trained on, which says ``alpha`` and ``sigma`` of a timestep.
        prediction_type: what it predicts, a name of :data:`omsdpm.networks.predictions.PREDICTIONS`.
        parts: evaluates batches in parts that fit into the device's memory.
        clip: largest absolute value of a pixel in the image that it predicts.
        use_clipped_model_output: whether the noise is that of the clipped image, as with this argument of diffusers'
            DDIM and as DDPM has it. If not, DDIM steps from the clipped image with the noise that was predicted, as
            ``DDIMPipeline`` does unless it is told; other solvers know one prediction, that of the clipped image.
    """

    name: str
    network: Network
    noise: Noise
    prediction_type: str = "epsilon"
    clip: float | None = None
    use_clipped_model_output: bool = True
    parts: Parts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_prediction(self.prediction_type)
        self.parts = Parts(f"member {self.name}")

    def __repr__(self) -> str:
        return f"Member({self.name!r}, {type(self.network).__name__}, {self.prediction_type})"

    @property
    def num_classes(self) -> int | None:
        """Classes of the labels that the network takes; ``None`` if it takes none."""
        return self.network.num_classes

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the network takes beside image and timestep, by name."""
        return self.network.conditions

    @property
    def has_rest(self) -> bool:
        """Whether :meth:`predict_parts` says a rest: the image is clipped, and the noise not."""
        return self.clip is not None and not self.use_clipped_model_output

    @property
    def stateful(self) -> bool:
        """Whether an evaluation depends on earlier ones of the same trajectory."""
        return self.network.stateful

    def snapshot(self) -> Any:
        """What the network remembers of a trajectory, see :meth:`omsdpm.networks.Network.snapshot`."""
        return self.network.snapshot()

    def restore(self, kept: Any) -> None:
        """Goes on with a trajectory; ``None`` begins one."""
        self.network.restore(kept)

    def guided(self, scale: float) -> Member:
        """The member with guidance of a scale, if it takes any and does not say its own; else itself."""
        if not self.network.takes_guidance or self.network.guidance is not None:
            return self
        network = copy(self.network)
        network.guidance = scale
        return replace(self, network=network)

    def __call__(
        self, x: torch.Tensor, t: float | torch.Tensor, labels: torch.Tensor | None = None, **conditions: Any
    ) -> torch.Tensor:
        """The predicted noise ``eps``, like ``x``; see :meth:`predict`."""
        return self.predict(x, t, "epsilon", labels=labels, **conditions)

    def predict(
        self,
        x: torch.Tensor,
        t: float | torch.Tensor,
        target: str = "epsilon",
        labels: torch.Tensor | None = None,
        **conditions: Any,
    ) -> torch.Tensor:
        """The predicted noise, or the predicted image, like ``x``.

        Args:
            x: ``(n, C, H, W)``.
            t: a timestep or ``(n,)`` of them, whole or not.
            target: ``"epsilon"`` or ``"sample"``.
            labels: ``(n,)`` classes from 0, for a network that takes them.
            conditions: what else the network takes, by name.

        Raises:
            InputError: a condition that is lacking or not taken, a timestep outside the noise schedule,
                or a target that the network says nothing about, see :func:`~omsdpm.networks.predictions.convert`.
        """
        return self.reading(self._evaluated(x, t, {"labels": labels, **conditions}), x, t, target)

    def predict_parts(
        self,
        x: torch.Tensor,
        t: float | torch.Tensor,
        target: str = "epsilon",
        labels: torch.Tensor | None = None,
        **conditions: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What :meth:`predict` gives, and the :meth:`rest`, of one evaluation."""
        output = self._evaluated(x, t, {"labels": labels, **conditions})
        return self.reading(output, x, t, target), self.rest(output, x, t)

    def _evaluated(self, x: torch.Tensor, t: float | torch.Tensor, conditions: dict[str, Any]) -> torch.Tensor:
        """The network's output, like ``x``."""
        import torch

        given = self._conditions(conditions)
        # In the network's own precision; and in the images' again what comes back.
        dtype = self.network.dtype or x.dtype
        in_time = x.dtype if self.network.exact_timesteps else dtype
        timesteps = torch.as_tensor(t, dtype=in_time, device=x.device).expand(len(x))

        def evaluate(rows: slice) -> torch.Tensor:
            if len(x) == len(range(*rows.indices(len(x)))):
                return self.network(x.to(dtype), timesteps, **given)
            if self.stateful:  # what it remembers is of the whole batch
                raise InputError(f"member {self.name} has a cache of the whole batch: give a smaller --batch-size")
            part = {name: _rows(value, rows) for name, value in given.items()}
            return self.network(x[rows].to(dtype), timesteps[rows], **part)

        return self.parts(evaluate, len(x)).to(x.dtype)

    def reading(
        self, output: torch.Tensor, x: torch.Tensor, t: float | torch.Tensor, target: str = "epsilon"
    ) -> torch.Tensor:
        """What an output of the network says of the noise or of the image, for who evaluated the network himself.

        Args:
            output: of the network, like ``x``.
            x, t, target: as of :meth:`predict`.

        Raises:
            InputError: as :meth:`predict`.
        """
        if target == self.prediction_type and self.clip is None:
            return output
        alpha, sigma = self._levels(x, t)
        if self.clip is None:
            return convert(output, x, alpha, sigma, prediction=self.prediction_type, target=target)
        image = convert(output, x, alpha, sigma, prediction=self.prediction_type, target="sample")
        image = image.clamp(-self.clip, self.clip)
        return convert(image, x, alpha, sigma, prediction="sample", target=target)

    def rest(self, output: torch.Tensor, x: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor | None:
        """The noise that an output of the network says, less that of the clipped image; ``None`` if both are one.

        Args:
            output, x, t: as of :meth:`reading`.
        """
        if not self.has_rest:
            return None
        alpha, sigma = self._levels(x, t)
        return convert(output, x, alpha, sigma, prediction=self.prediction_type) - self.reading(output, x, t)

    def _levels(self, x: torch.Tensor, t: float | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``alpha`` and ``sigma`` of each image, ``(n,)`` float64."""
        import torch

        exact = np.broadcast_to(torch.as_tensor(t, dtype=torch.float64, device="cpu").numpy(), (len(x),))
        time = self.noise.time(exact)
        return torch.as_tensor(self.noise.alpha(time)), torch.as_tensor(self.noise.sigma(time))

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        """Those that are not ``None``, known to be what the network takes."""
        present = {name: value for name, value in given.items() if value is not None}
        if present.keys() == set(self.network.conditions):
            return present
        for name in self.network.conditions:
            if name not in present:
                hint = ": give them with omsdpm.guidance.conditioned" if name == "labels" else ""
                raise InputError(f"member {self.name} takes {name}{hint}")
        superfluous = next(name for name in present if name not in self.network.conditions)
        raise InputError(f"member {self.name} takes no {superfluous}")


def _rows(value: Any, rows: slice) -> Any:
    """Some rows of a condition: of labels ``(n,)`` or of prompts."""
    return value.rows(np.arange(len(value))[rows]) if hasattr(value, "rows") else value[rows]
