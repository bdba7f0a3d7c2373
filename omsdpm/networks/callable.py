"""``callable``: whatever Python can import, ``function = "module:attribute"``.

Without ``parameters`` the attribute is the network itself: a function ``(x, t) -> output``
with ``x (n, C, H, W)`` and timesteps ``t (n,)``, or a torch module called so. With
``parameters = {...}``, which may be empty, it is a factory that is called with them and
returns such a network. Where it has a parameter ``device``, it is given the device too.

[[member]]
kind = "callable"
function = "my_networks:mlp_mixer"
parameters = { width = 64 }
weights = "mixer.safetensors"
prediction_type = "v_prediction"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from omsdpm.errors import InputError, unknown_name
from omsdpm.networks.base import MemberTable, Network
from omsdpm.plugins import import_object, parameters_of

if TYPE_CHECKING:
    import torch


class CallableNetwork(Network):
    """A function or torch module, called as ``function(x, t)``, with ``labels=`` where it takes them."""

    def __init__(self, function: Callable[..., torch.Tensor], name: str, num_classes: int | None = None) -> None:
        self.function = function
        self.name = name
        self.num_classes = num_classes

    def __call__(self, x: torch.Tensor, timesteps: torch.Tensor, **conditions: Any) -> torch.Tensor:
        output = self.function(x, timesteps, **conditions)
        if getattr(output, "shape", None) != x.shape:
            given = getattr(output, "shape", None)
            what = type(output).__name__ if given is None else f"shape {tuple(given)}"
            raise InputError(f"network {self.name} returned {what}: expected a tensor of shape {tuple(x.shape)}")
        return output

    @property
    def weights(self) -> torch.nn.Module | None:
        import torch

        return self.function if isinstance(self.function, torch.nn.Module) else None


class CallableTable(MemberTable):
    """A function or module by its path, ``module:attribute``; keys of its member.

    Attributes:
        function: ``module:attribute``, importable from where the command runs.
        parameters: what the factory is called with; ``None`` if ``function`` is the network itself.
        weights: a file that the factory gets as ``weights``, an absolute path. Its bytes are part of
            what identifies the network; what a factory reads of its own accord is not.
        num_classes: classes of the ``labels`` that the network takes as a keyword; ``None`` if it takes none.
        label: what tables call the member; its ``function`` if empty.
    """

    kind: Literal["callable"] = "callable"
    function: str
    parameters: dict[str, Any] | None = None
    weights: str | None = None
    num_classes: Annotated[int, Field(gt=0)] | None = None
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.function

    def load(self, folder: Path, shape: tuple[int, ...], device: str) -> CallableNetwork:
        import torch

        network = import_object(self.function, "network")
        if self.parameters is not None or self.weights is not None:
            network = self._made(network, folder, device)
        if inspect.isclass(network) or not callable(network):
            what = "a class: give parameters = {} to have it made" if inspect.isclass(network) else "not callable"
            raise InputError(f"network {self.function!r} is {what}")
        if isinstance(network, torch.nn.Module):
            network = network.to(device).eval().requires_grad_(False)
        return CallableNetwork(network, self.name, self.num_classes)

    def content(self, folder: Path) -> dict[str, Any]:
        content: dict[str, Any] = {key: value for key, value in self.table().items() if key not in ("label", "weights")}
        if (weights := self._weights(folder)) is not None:
            content["weights"] = weights
        if (source := _source(self.function)) is not None:
            content["source"] = source
        return content

    def _made(self, factory: Any, folder: Path, device: str) -> Any:
        if not callable(factory):
            raise InputError(f"network {self.function!r} is not callable: leave out parameters and weights")
        given = dict(self.parameters or {})
        if (weights := self._weights(folder)) is not None:
            given["weights"] = weights
        known = parameters_of(factory)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())
        if "device" in known:
            given.setdefault("device", device)
        for parameter in given:
            if parameter not in known and not takes_any:
                raise unknown_name(f"parameter of network {self.function!r}", parameter, known)
        try:
            return factory(**given)
        except InputError:
            raise
        except Exception as error:  # whatever a stranger's factory does
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(f"network {self.function!r} cannot be made ({reason})") from error

    def _weights(self, folder: Path) -> Path | None:
        if self.weights is None:
            return None
        path = (folder / self.weights).resolve()
        if not path.is_file():
            raise InputError(f"network {self.function!r} has no weights {path}: expected a file")
        return path


def _source(function: str) -> Path | None:
    """The file of a function's module, where it has one; a change of it may change the network."""
    try:
        spec = find_spec(function.partition(":")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
