"""A diffusers model from its folder: what its ``from_pretrained`` reads, read within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from omsdpm.errors import InputError, one_line
from omsdpm.files import regular_file, replacing
from omsdpm.networks.sizes import check_arguments, check_evaluated, shapes_of, skeleton_of
from omsdpm.networks.weights import WEIGHTS_FILE, current_names, load_weights, stored_shapes, weight_files
from omsdpm.tables import read_json

CONFIG_FILE = "config.json"
CONFIG_BYTES = 2**20
"""Longest ``config.json``; diffusers writes a few thousand."""

_SHARED: WeakValueDictionary[tuple[object, ...], Any] = WeakValueDictionary()
"""Models that somebody holds, by what they were read from: two members with one set of weights hold it once."""


@dataclass(frozen=True)
class StoredModel:
    """A diffusers model whose files fit each other, before its weights are read.

    Attributes:
        skeleton: the model without memory, with its configuration.
        files: of the weights.
        build: makes the model with weights drawn at random.
    """

    skeleton: Any
    files: tuple[Path, ...]
    build: Callable[[], Any]

    def read(self) -> Any:
        """The model, in evaluation mode, on the CPU in single precision.

        Raises:
            InputError: the weights are truncated, or no numbers.
        """
        import torch

        with _readable(self.files[0]):
            model = self.build()
            state = current_names(load_weights(self.files), shapes_of(self.skeleton))
            model.load_state_dict(state)
        if not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise InputError(f"{self.files[0]} holds NaN or infinite weights: train or copy the member again")
        return model.eval()


def stored_model(
    folder: str | Path,
    classes: tuple[str, ...],
    kind: str,
    variant: str | None = None,
    evaluate: Callable[[Any], Any] | None = None,
) -> StoredModel:
    """A diffusers model in its folder, whose weights are not read yet.

    What ``from_pretrained`` reads is read: safetensors and ``.bin``, shards, variants, and attentions
    under their first names; but nothing is unpickled, and no memory is taken for what is claimed and not there.

    Args:
        folder: with ``config.json`` and the weights.
        classes: names of the classes of diffusers that it may be of; the first is meant where it does not say.
        kind: the kind of network that takes these, for errors.
        variant: of the weights' files.
        evaluate: runs the model once, to see that its configuration is one that it runs with.

    Raises:
        InputError: it is another model; ``config.json`` or the weights are missing, truncated or do not fit.
    """
    import diffusers

    folder = Path(folder)
    check_config(folder, classes[0])
    config = read_config(folder, classes[0])
    name = _checked_class(config, folder, classes, kind)
    from_config = getattr(diffusers, name).from_config
    files = weight_files(folder, variant, name)

    def build() -> Any:
        return from_config(config)

    for path in files:
        regular_file(path, f"expected a file of a diffusers {name} folder")
    where = f"{folder / CONFIG_FILE} is not a {name} config"
    with _readable(files[0]):
        stored = stored_shapes(files)
        check_arguments(config, where, layers=len(stored))
        # Claimed shapes are compared with those of the file before memory is taken for them.
        skeleton = skeleton_of(build, where)
        asked = shapes_of(skeleton)
        _compare(asked, current_names(stored, asked), files[0])
        if evaluate is not None:
            check_evaluated(build, evaluate, where)
    return StoredModel(skeleton, files, build)


def shared_model(
    folder: Path,
    classes: tuple[str, ...],
    kind: str,
    variant: str | None,
    device: str,
    evaluate: Callable[[Any], Any] | None = None,
) -> Any:
    """A diffusers model from its folder, on a device; the same object for the same files, as long as it is held.

    Nobody may change such a model.

    Raises:
        InputError: as :func:`stored_model` and :meth:`StoredModel.read`.
    """
    check_config(folder, classes[0])
    files = weight_files(folder, variant, classes[0])
    facts = [(str(path.resolve()), path.stat().st_mtime_ns) for path in (folder / CONFIG_FILE, *files) if path.exists()]
    key = (*facts, device, classes)
    model = _SHARED.get(key)
    if model is None:
        model = stored_model(folder, classes, kind, variant, evaluate).read().to(device).requires_grad_(False)
        _SHARED[key] = model
    return model


def model_content(folder: Path, variant: str | None, name: str) -> dict[str, Any]:
    """What decides what a model computes: its configuration, and paths of its weights.

    Raises:
        InputError: a file is missing.
    """
    check_config(folder, name)
    files = weight_files(folder, variant, name)
    # Without diffusers' own version, and where the network once came from.
    described = {key: value for key, value in read_config(folder, name).items() if not key.startswith("_")}
    parts = {"weights": files[0]} if len(files) == 1 else {f"weights {n}": part for n, part in enumerate(files)}
    return {"config": described, **parts}


def write_model(model: Any, folder: str | Path) -> None:
    """Writes a model as diffusers does, the weights last and atomically."""
    from safetensors.torch import save_file

    folder = Path(folder)
    model.save_config(folder)
    with replacing(folder / WEIGHTS_FILE) as temporary:
        weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, temporary, metadata={"format": "pt"})


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """``config.json`` as it is.

    Raises:
        InputError: it cannot be read, or is no JSON object.
    """
    path = folder / CONFIG_FILE
    config = read_json(path, f"{path} is not a {name} config", largest=CONFIG_BYTES)
    if not isinstance(config, dict):
        raise InputError(f"{path} is not a {name} config: expected an object")
    return config


def check_config(folder: Path, name: str) -> None:
    """Raises :class:`InputError` where there is no ``config.json``, or something that is no file."""
    path = folder / CONFIG_FILE
    try:
        missing = not path.exists()
    except OSError:  # a folder that may not be looked into
        missing = False
    if missing:
        raise InputError(f"zoo member {folder} lacks {path.name}: expected a diffusers {name} folder")
    regular_file(path, f"expected a file of a diffusers {name} folder")


def _checked_class(config: Mapping[str, Any], folder: Path, classes: tuple[str, ...], kind: str) -> str:
    """Says what the folder is, before its weights are called truncated for not being another network's."""
    name = config.get("_class_name")
    if name is None:
        return classes[0]
    if name not in classes:
        raise InputError(
            f"{folder / CONFIG_FILE}: this is a `{str(name)[:80]}`; a member of kind {kind} is a "
            f"{' or '.join(classes)}, and any other network can be one of kind callable (docs/network.md)"
        )
    return str(name)


def _compare(asked: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]], weights: Path) -> None:
    for name in {**asked, **stored}:
        if asked.get(name) != stored.get(name):
            there, wanted = (f"{one[name]}" if name in one else "none" for one in (stored, asked))
            raise InputError(
                f"{weights} is truncated or not this network's weights: {name} has shape {there}, "
                f"{CONFIG_FILE} asks for {wanted}"
            )


@contextmanager
def _readable(weights: Path) -> Iterator[None]:
    """What reading weights raises, in one line."""
    import safetensors

    try:
        yield
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{weights} is truncated or not this network's weights: {one_line(error)[:200]}") from error
