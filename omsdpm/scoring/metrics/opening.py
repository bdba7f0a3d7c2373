"""A metric by ``name[param=value,...]``: what it is called, what identifies it, and one opened for many schedules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.plugins import Named, parameters_of
from omsdpm.scoring.features.opening import check_features, features_digest, features_files, file_digest
from omsdpm.scoring.metrics.base import METRICS, Metric
from omsdpm.scoring.metrics.context import Context
from omsdpm.scoring.reference import DIGITS, DIGITS_SHAPE, Progress

SETTLED = ("context",)
"""Parameters of a metric that nobody gives in brackets."""

FEATURES = "features"
"""The parameter that names a feature network."""

USUAL_FEATURES = "481f8b89e9b6d3fd79b03618fe7ed8f2"
"""Digest of the digit network that is committed, with which data that say nothing were measured."""


def metric_names() -> list[str]:
    """Names of the metrics that are installed, sorted."""
    return METRICS.names()


def check_metric(text: str) -> None:
    """Raises :class:`InputError` for a metric, parameter or feature network that there is not; makes nothing."""
    named = Named.parse(text)
    thing = _class(named)
    METRICS.check(named, thing, reserved=SETTLED)
    try:
        inspect.signature(thing).bind(**named.parameters, **{name: None for name in _settled(thing)})
    except TypeError as error:
        raise InputError(f"metric {named.name!r}: {error}") from error
    if isinstance(features := named.parameters.get(FEATURES), str):
        check_features(features)


def check_images(text: str, shape: tuple[int, ...]) -> None:
    """Raises :class:`InputError` for a metric that does not take images of a shape ``(C, H, W)``."""
    named = Named.parse(text)
    wanted = getattr(_class(named), "image_shape", None)
    if wanted is not None and tuple(shape) != tuple(wanted):
        raise InputError(
            f"metric {named.name!r} is for images of {'x'.join(map(str, wanted))}: these are "
            f"{'x'.join(map(str, shape))}; give fid, kid or fd[features=...], with real images of their own kind"
        )


def takes_reference(text: str) -> bool:
    """Whether a metric compares with real images.

    Raises:
        InputError: an unknown metric.
    """
    metric = _class(Named.parse(text))
    return bool(getattr(metric, "takes_reference", "context" in parameters_of(metric)))


def usual_reference(text: str) -> str | None:
    """The real images that a metric compares with where none are given: digits, for one that is for those alone.

    Raises:
        InputError: an unknown metric.
    """
    wanted = getattr(_class(Named.parse(text)), "image_shape", None)
    return DIGITS if takes_reference(text) and wanted == DIGITS_SHAPE else None


def score_name(text: str) -> str:
    """What datasets and tables call scores: no names of files in it, and ``-psnr[...]`` where they are negated.

    Raises:
        InputError: an unknown metric or feature network.

    Example:
        >>> score_name("fid[weights=inception.pth]"), score_name("psnr[member=6]")
        ('fid', '-psnr[member=6]')
    """
    named = Named.parse(text)
    sign = "-" if getattr(_class(named), "higher_is_better", False) else ""
    return sign + str(_with_files(named, lambda path: None))


def with_files_in(text: str, folder: Path) -> str:
    """The metric with relative paths of files made absolute, as a file in ``folder`` means them.

    Raises:
        InputError: an unknown metric or feature network.
    """
    return str(_with_files(Named.parse(text), lambda path: str((folder / path).resolve())))


def feature_network(text: str) -> str | None:
    """The feature network that a metric asks for, ``name[param=value,...]``; ``None`` for none.

    Raises:
        InputError: an unknown metric.
    """
    named = Named.parse(text)
    metric = _class(named)
    if hasattr(metric, "feature_network"):
        network: str | None = metric.feature_network(**named.parameters)
        return network
    features = named.parameters.get(FEATURES)
    return features if isinstance(features, str) else None


def metric_identity(text: str) -> dict[str, str]:
    """What scores depend on beside the images: the metric with files by their content, and its features.

    Raises:
        InputError: an unknown metric, or a file that cannot be read.
    """
    named = Named.parse(text)
    identity = {"metric": str(_with_files(named, _content))}
    network = feature_network(text)
    # Inception is known by its weights, which are parameters already.
    if network is not None and Named.parse(network).name != "inception":
        digest = features_digest(network)
        if digest != USUAL_FEATURES:
            identity["features"] = digest
    return identity


def make_metric(
    text: str,
    *,
    shape: tuple[int, ...],
    reference: str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Metric:
    """A metric for images that come from anywhere.

    Args:
        text: ``name[param=value,...]``.
        shape: ``(C, H, W)`` of the images.
        reference: ``"digits"``, a folder of real images, or a file, see :mod:`omsdpm.scoring.real_files`.
        device: where feature networks run.
        progress: told ``(images done, images)`` while the reference is computed.

    Raises:
        InputError: unknown metric or parameter, or a reference that is lacking or cannot be used.

    Example:
        >>> metric = make_metric("kid[features=digits]", shape=(1, 8, 8), reference="digits")
        >>> metric.update(images, 0)
        >>> metric.value()
    """
    return OpenMetric(text, Context(shape, device, reference, progress=progress)).fresh()


class OpenMetric:
    """A metric with its network and reference loaded, for the images of many schedules.

    Args:
        text: ``name[param=value,...]``.
        context: what it may ask about.

    Raises:
        InputError: unknown metric or parameter, or something that it needs cannot be used.
    """

    def __init__(self, text: str, context: Context) -> None:
        named = Named.parse(text)
        check_metric(text)
        check_images(text, context.shape)
        self.text = text
        self.context = context
        self._class = _class(named)
        if context.reference is None and takes_reference(text):
            raise InputError(
                f"metric {named.name!r} needs real images to compare with: give a folder of them, or pytorch-fid's .npz"
            )
        given = {name: context for name in _settled(self._class)}
        self._parameters = {**given, **named.parameters}
        METRICS.make(text, **given)  # fails now if at all

    @property
    def negated(self) -> bool:
        """Scores are negated, as a higher value is better."""
        return bool(getattr(self._class, "higher_is_better", False))

    @property
    def signed(self) -> str:
        """What scores are, with all parameters: the metric as it was given, after a ``-`` where they are negated."""
        return f"-{self.text}" if self.negated else self.text

    def fresh(self) -> Metric:
        """One that took nothing in yet."""
        metric: Metric = self._class(**self._parameters)
        return metric

    def score(self, metric: Metric) -> float:
        """A metric's value so that lower is better.

        Raises:
            InputError: it is no finite number.
        """
        value = float(metric.value())
        if not np.isfinite(value):
            raise InputError(f"metric {self.text!r} gave {value}: a score is a finite number")
        return -value if self.negated else value


def _class(named: Named) -> Any:
    return METRICS.load(named.name)


def _settled(metric: Any) -> list[str]:
    """Those of :data:`SETTLED` that a metric takes."""
    return [name for name in SETTLED if name in parameters_of(metric)]


def _with_files(named: Named, change: Callable[[str], str | None]) -> Named:
    """A metric with the paths in its parameters, and in those of its feature network, changed or left out."""
    files = tuple(getattr(_class(named), "files", ()))
    parameters = _changed(named.parameters, files, change)
    if isinstance(features := parameters.get(FEATURES), str):
        network = Named.parse(features)
        parameters[FEATURES] = str(Named(network.name, _changed(network.parameters, features_files(features), change)))
    return Named(named.name, parameters)


def _changed(
    parameters: Mapping[str, Any], files: tuple[str, ...], change: Callable[[str], str | None]
) -> dict[str, Any]:
    changed = {key: change(str(value)) if key in files else value for key, value in parameters.items()}
    return {key: value for key, value in changed.items() if value is not None or key not in files}


def _content(path: str) -> str | None:
    """A file by its content; nothing for the weights that everybody has, or that are not there."""
    from omsdpm.scoring.features.inception import are_usual

    return None if are_usual(path) else file_digest(path)
