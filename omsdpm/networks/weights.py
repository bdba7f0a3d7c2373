"""Weights in the folder of a diffusers model, in each form that diffusers writes.

safetensors or ``.bin``, whole or in shards, of a variant, and with the names that attentions had before 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from omsdpm.errors import InputError
from omsdpm.files import regular_file
from omsdpm.names import plain_name
from omsdpm.tables import read_json

if TYPE_CHECKING:
    import torch

BASE = "diffusion_pytorch_model"
WEIGHTS_FILE = f"{BASE}.safetensors"
KINDS = ("safetensors", "bin")
"""In the order in which diffusers looks for them."""

SHARDS = 1000
"""Most files of a model."""

RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Parts of an attention, as diffusers called them first and calls them now."""

T = TypeVar("T")


def weight_files(folder: Path, variant: str | None = None, name: str = "UNet2DModel") -> tuple[Path, ...]:
    """The files that hold a model's weights, as ``from_pretrained`` finds them.

    Args:
        folder: with the model's ``config.json``.
        variant: such as ``"fp16"``, of ``diffusion_pytorch_model.fp16.safetensors``.
        name: of the model's class, for errors.

    Raises:
        InputError: none there; an index that is damaged, or names a file that is not there.
    """
    infix = "" if variant is None else f".{variant}"
    for kind in KINDS:
        whole = folder / f"{BASE}{infix}.{kind}"
        if _there(whole):
            return (whole,)
        index = folder / f"{BASE}.{kind}.index{infix}.json"
        if _there(index):
            return _shards(index)
    others = sorted(path.name for path in folder.glob(f"{BASE}*"))
    hint = f"; it has {', '.join(others[:4])}: a variant is named by the member's key `variant`" if others else ""
    raise InputError(f"zoo member {folder} lacks {BASE}{infix}.safetensors: expected a diffusers {name} folder{hint}")


def stored_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors by name, which safetensors' headers say and are checked against the files' sizes."""
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                names = file.keys()  # it is no dict that could be walked itself
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in names}
        else:
            shapes |= {name: tuple(tensor.shape) for name, tensor in _read_bin(path).items()}
    return shapes


def load_weights(files: Iterable[Path]) -> dict[str, torch.Tensor]:
    """The tensors by name, on the CPU.

    Raises:
        InputError: a ``.bin`` that is damaged, or holds anything but tensors.
    """
    from safetensors.torch import load_file

    state: dict[str, torch.Tensor] = {}
    for path in files:
        state |= load_file(path) if path.suffix == ".safetensors" else _read_bin(path)
    return state


def current_names(state: Mapping[str, T], known: Iterable[str]) -> dict[str, T]:
    """What is stored under names of before diffusers renamed its attentions, under those that a network has now.

    As ``ModelMixin._fix_state_dict_keys_on_load``. Names that the network has, and others that it does not, stay.
    """
    wanted = set(known)
    renamed = {}
    for name, value in state.items():
        block, part, last = name.rsplit(".", 2) if name.count(".") >= 2 else ("", "", "")
        now = f"{block}.{RENAMED[part]}.{last}" if part in RENAMED else name
        renamed[now if name not in wanted and now in wanted else name] = value
    return renamed


def _shards(index: Path) -> tuple[Path, ...]:
    table = read_json(index, "copy the model again")
    names = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"{index} names no files of weights; copy the model again")
    files = sorted(set(names.values()))
    if len(files) > SHARDS:
        raise InputError(f"{index} names {len(files)} files, expected {SHARDS} at most")
    paths = []
    for name in files:
        try:
            path = index.parent / plain_name(name)
        except ValueError as error:
            raise InputError(f"{index} names a file of weights that is none: {error}") from error
        paths.append(regular_file(path, f"expected a file that {index.name} names"))
    return tuple(paths)


def _read_bin(path: Path) -> dict[str, torch.Tensor]:
    import torch

    from omsdpm.released._pickle import load_pth

    state = load_pth(path)
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise InputError(f"{path} is no file of weights: expected tensors by name")
    return state


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be looked into
        return False
