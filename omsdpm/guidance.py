"""Class labels and classifier guidance, as wrappers around denoisers.

A wrapped denoiser is a denoiser, so every solver, :func:`omsdpm.sampling.sample` and
:func:`omsdpm.sampling.sample_population` take it.

Example:
    >>> denoisers = conditioned(zoo.denoisers, labels)  # labels (n,), one an image
    >>> denoisers = guided(denoisers, classifier, labels, scale=2.0, noise=zoo.noise)
    >>> x_0 = sample(denoisers, schedule, x_T, space=space, noise=noise)  # x_T (n, C, H, W)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.seeds import check_seed

if TYPE_CHECKING:
    import torch

    from omsdpm.prompts import Prompts
    from omsdpm.sampling import Denoiser

    Classifier = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """``x_t (n, C, H, W)`` and timesteps ``(n,)`` to logits ``(n, K)``."""

RANDOM = "random"
"""As a label: a class drawn for each image."""


def num_classes(denoisers: Sequence[Any]) -> int | None:
    """How many classes the members that take labels know; ``None`` if none of them takes any.

    A denoiser takes labels if it has a ``num_classes`` and a keyword ``labels``, as
    :class:`omsdpm.zoo.Member` does for a network that says so.

    Raises:
        InputError: members that disagree.
    """
    counts = sorted({count for member in denoisers if (count := getattr(member, "num_classes", None)) is not None})
    if len(counts) > 1:
        raise InputError(f"members with {' and '.join(map(str, counts))} classes: the members of a zoo share them")
    return counts[0] if counts else None


def conditioned(
    denoisers: Sequence[Any], labels: ArrayLike | torch.Tensor | None = None, *, prompts: Prompts | None = None
) -> list[Denoiser]:
    """Denoisers that give labels or prompts to those members that take them; the others stay as they are.

    Args:
        denoisers: members of a zoo; at least one takes labels, see :func:`num_classes`, or prompts.
        labels: ``(n,)`` whole numbers from 0, one for each image of a batch.
        prompts: ``n`` of them, as :meth:`omsdpm.zoo.ModelZoo.encode` makes them.

    Raises:
        InputError: no member takes them, or a label that is none of the classes.
    """
    given: dict[str, Any] = {}
    if labels is not None:
        count = num_classes(denoisers)
        if count is None:
            raise InputError("labels for a zoo none of whose members takes any: train one with num_class_embeds")
        given["labels"] = check_labels(labels, count)
    if prompts is not None:
        if not any("prompts" in conditions_of(member) for member in denoisers):
            raise InputError("prompts for a zoo none of whose members takes any")
        given["prompts"] = prompts
    taken = [{name: given[name] for name in conditions_of(member) if name in given} for member in denoisers]
    return [_Conditioned(member, its) if its else member for member, its in zip(denoisers, taken, strict=True)]


def conditions_of(denoiser: Any) -> tuple[str, ...]:
    """What a denoiser takes beside image and timestep: keywords of its call."""
    usual = () if getattr(denoiser, "num_classes", None) is None else ("labels",)
    return tuple(getattr(denoiser, "conditions", usual))


def guided(
    denoisers: Sequence[Any],
    classifier: Classifier,
    labels: ArrayLike | torch.Tensor,
    *,
    noise: Noise,
    scale: float = 1.0,
) -> list[Denoiser]:
    """Denoisers guided by a classifier (Dhariwal & Nichol, arXiv:2105.05233, Alg. 2).

    ``eps(x, t) - sigma(t) * scale * grad_x log p(labels | x, t)``.

    Args:
        denoisers: members of a zoo, conditioned or not.
        classifier: ``(x_t (n, C, H, W), timesteps (n,))`` to logits ``(n, K)``, differentiable in
            ``x_t``; trained on noisy images.
        labels: ``(n,)`` whole numbers from 0 to ``K - 1``, one for each image of a batch.
        noise: gives ``sigma`` of a timestep; the zoo's, of any kind.
        scale: strength; 0 changes nothing.

    Raises:
        InputError: a scale that is no finite number, or labels that are no whole numbers.
    """
    if not np.isfinite(scale):
        raise InputError(f"guidance scale {scale}: expected a finite number")
    checked = check_labels(labels)
    return [_Guided(member, classifier, checked, scale, noise) for member in denoisers]


def check_labels(labels: ArrayLike | torch.Tensor, count: int | None = None) -> NDArray[np.int64]:
    """Labels as ``(n,)`` int64, each from 0 to ``count - 1``.

    Raises:
        InputError: another shape, no whole numbers, or one that is no class.
    """
    array = np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"labels of shape {array.shape} and type {array.dtype}: expected whole numbers (n,)")
    wrong = (array < 0) | (array >= (np.inf if count is None else count))
    if wrong.any():
        known = "from 0 on" if count is None else f"0..{count - 1}"
        raise InputError(f"label {array[wrong.argmax()]}: the classes are numbered {known}")
    return array.astype(np.int64)


def parse_labels(text: str) -> int | str | tuple[int, ...]:
    """Labels as a command line gives them: ``"3"``, ``"0,1,2"`` or ``"random"``.

    Raises:
        InputError: anything else.
    """
    if text == RANDOM:
        return RANDOM
    try:
        classes = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"label {text!r}: give a class from 0, several in turn as 0,1,2, or {RANDOM!r}") from error
    return classes if len(classes) > 1 else classes[0]


def draw_labels(labels: int | str | Sequence[int], images: int, count: int, seed: int) -> NDArray[np.int64]:
    """``(images,)`` labels: all of one class, several classes in turn, or with :data:`RANDOM` a class drawn for each.

    Several may be a text too, as ``"0,1,2"``.

    Raises:
        InputError: not a class, nor ``"random"``.
    """
    if labels == RANDOM:
        return np.random.default_rng(check_seed(seed)).integers(count, size=images)
    if isinstance(labels, (int, str)):
        try:
            classes = np.array([int(part) for part in str(labels).split(",")])
        except ValueError as error:
            raise InputError(f"label {labels!r}: give a class, 0..{count - 1}, or {RANDOM!r}") from error
    else:
        classes = np.asarray(labels)
    return np.resize(check_labels(classes, count), images)


def _rows(labels: NDArray[np.int64], x: torch.Tensor) -> torch.Tensor:
    """The labels of a batch, which may be several copies of the images side by side."""
    import torch

    return torch.from_numpy(labels).to(x.device).repeat(_copies(labels, x, "labels"))


def _copies(rows: Sized, x: torch.Tensor, what: str) -> int:
    """How many copies of the images, of which each has a row, a batch is."""
    if len(x) % len(rows):
        raise InputError(f"{len(rows)} {what} for a batch of {len(x)} images: give one an image")
    return len(x) // len(rows)


class _Conditioned:
    """A member that is given its labels or prompts; it has ``predict`` and ``predict_parts`` where the member has."""

    def __init__(self, member: Any, given: Mapping[str, Any]) -> None:
        self.member = member
        self.given = given
        if hasattr(member, "predict"):
            self.predict = self._predict
        if getattr(member, "has_rest", False):
            self.has_rest = True
            self.predict_parts = self._predict_parts

    def __call__(self, x: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        predicted: torch.Tensor = self.member(x, t, **self._given(x))
        return predicted

    def _predict(self, x: torch.Tensor, t: float | torch.Tensor, target: str = "epsilon") -> torch.Tensor:
        predicted: torch.Tensor = self.member.predict(x, t, target, **self._given(x))
        return predicted

    def _predict_parts(
        self, x: torch.Tensor, t: float | torch.Tensor, target: str = "epsilon"
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        parts: tuple[torch.Tensor, torch.Tensor | None] = self.member.predict_parts(x, t, target, **self._given(x))
        return parts

    def _given(self, x: torch.Tensor) -> dict[str, Any]:
        return {
            name: _rows(rows, x) if name == "labels" else rows.repeated(_copies(rows, x, name))
            for name, rows in self.given.items()
        }


class _Guided:
    """A member whose noise prediction follows a classifier.

    It has no ``predict``: guidance is a term of the noise. In the image it is that term times
    ``sigma / alpha``, which is without bound where solvers would ask for the image, for there is no signal. Nor has
    it ``predict_parts``: the noise of a member that clips is that of the clipped image, as in guided-diffusion.
    """

    def __init__(
        self, member: Any, classifier: Classifier, labels: NDArray[np.int64], scale: float, noise: Noise
    ) -> None:
        self.member = member
        self.classifier = classifier
        self.labels = labels
        self.scale = scale
        self.noise = noise

    def __call__(self, x: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        import torch

        timesteps = torch.as_tensor(t, dtype=x.dtype, device=x.device).expand(len(x))
        # Samplers run without gradients, which the classifier's input needs for a moment.
        with torch.inference_mode(False), torch.enable_grad():
            labels = _rows(self.labels, x)
            point = x.detach().clone().requires_grad_()
            logits = self.classifier(point, timesteps.clone())
            if (worst := int(labels.max())) >= logits.shape[1]:
                raise InputError(f"label {worst}: the classifier knows the classes 0..{logits.shape[1] - 1}")
            log_p = torch.log_softmax(logits, dim=1).gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(log_p, point)
        exact = np.broadcast_to(torch.as_tensor(t, dtype=torch.float64, device="cpu").numpy(), (len(x),))
        sigma = self.noise.sigma(self.noise.time(exact))
        weight = torch.as_tensor(self.scale * sigma, dtype=x.dtype, device=x.device)
        guided: torch.Tensor = self.member(x, t) - weight.view(-1, *[1] * (x.ndim - 1)) * gradient
        return guided
