"""Zoos as folders: configurations and weights of members, in our layout and the release's."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.mutations import DEEP, Rng, array_changed, changed, damaged

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"


class ZooKind(Kind):
    """Folders of networks."""

    name = "zoo folders"
    share = 1.5

    def case(self, rng: Rng, folder: Path) -> Case:
        zoo = folder / "zoo"
        shutil.copytree(self.valid / "zoo", zoo)
        member = zoo / "2"
        act = rng.random()
        if act < 0.5:
            path, what = member / CONFIG, _damage_config(member / CONFIG, rng)
        elif act < 0.95:
            path, what = member / WEIGHTS, damaged_weights(member / WEIGHTS, rng)
        else:
            path, what = _damage_layout(zoo, rng)

        def read() -> Any:
            from omsdpm.zoo import zoo_digest
            from omsdpm.zoo.opening import open_zoo

            return open_zoo(zoo), zoo_digest(zoo)

        return Case(f"{path.name}: {what}", path, read, lambda accepted: _wrong(accepted[0], member))


def _damage_config(path: Path, rng: Rng) -> str:
    act = rng.random()
    raw = path.read_bytes()
    if act < 0.3:
        what, raw = damaged(raw, rng)
        path.write_bytes(raw)
        return what
    if act < 0.35:
        path.write_text("[" * DEEP + "]" * DEEP)
        return "deep"
    if act < 0.4:
        path.write_bytes(raw.replace(b"8", b"8" * 5000, 1))
        return "a long number"
    table = json.loads(raw)
    if act < 0.55:  # what networks have and cannot be used here
        key, value = [
            ("class_embed_type", "timestep"), ("class_embed_type", "identity"), ("num_class_embeds", 10),
            ("time_embedding_type", "learned"), ("time_embedding_type", "fourier"), ("layers_per_block", 10**30),
            ("layers_per_block", 1000), ("block_out_channels", [8] * 40), ("block_out_channels", [2**19]),
            ("out_channels", 10**9), ("sample_size", 2**19), ("norm_num_groups", 0), ("attention_head_dim", 0),
            ("_class_name", "Transformer2DModel"), ("act_fn", "gelu"), ("center_input_sample", True),
            ("down_block_types", ["NoBlock2D"]), ("num_train_timesteps", None), ("in_channels", 2), ("sample_size", 16),
        ][int(rng.integers(20))]  # fmt: skip
        table[key] = value
        what = f"{key} = {value}"
    else:
        what, table = changed(table, rng)
    try:
        path.write_text(json.dumps(table), encoding="utf-8", errors="surrogatepass")
    except (ValueError, RecursionError):  # an integer that JSON writers refuse
        path.write_text('{"sample_size": 1' + "0" * 5000 + "}")
    return what


def damaged_weights(path: Path, rng: Rng) -> str:
    act = rng.random()
    raw = path.read_bytes()
    if act < 0.4:
        what, raw = damaged(raw, rng)
        path.write_bytes(raw)
        return what
    if act < 0.7:
        (size,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + size])
        what, header = changed(header, rng)
        try:
            text = json.dumps(header).encode()
        except (ValueError, RecursionError):
            text = b'{"a": 1' + b"0" * 5000 + b"}"
        path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])
        return f"header: {what}"
    if act < 0.75:
        path.write_bytes(struct.pack("<Q", 2 ** int(rng.integers(10, 64)) - 1) + raw[8:])
        return "a header of another length"
    from safetensors.numpy import load_file, save_file

    arrays = load_file(path)
    name = list(arrays)[int(rng.integers(len(arrays)))]
    what, arrays[name] = array_changed(arrays[name], rng)
    if rng.random() < 0.1:
        del arrays[name]
        what = "removed"
    elif rng.random() < 0.1:
        arrays["more"] = arrays[name]
        what = "one more"
    save_file(arrays, path)
    return f"{name} {what}"


def _damage_layout(zoo: Path, rng: Rng) -> tuple[Path, str]:
    member = zoo / "2"
    act = int(rng.integers(5))
    if act == 0:
        (member / CONFIG).unlink()
        return member / CONFIG, "missing"
    if act == 1:
        (member / WEIGHTS).unlink()
        return member / WEIGHTS, "missing"
    if act == 2:
        shutil.rmtree(member)
        return member / CONFIG, "no folder"
    if act == 3:
        (member / WEIGHTS).unlink()
        (member / WEIGHTS).mkdir()
        return member / WEIGHTS, "a folder"
    shutil.copy(zoo / "1" / WEIGHTS, member / WEIGHTS)
    return member / WEIGHTS, "of another member"


def _wrong(zoo: Any, member: Path) -> str | None:
    """Evaluates what was loaded, and compares it with diffusers' own reading of the same files."""
    import torch
    from diffusers import UNet2DModel
    from safetensors.torch import load_file

    x = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    network = zoo.members[1]
    labels = None if network.num_classes is None else torch.zeros(1, dtype=torch.long)
    got = network(x, 500, labels=labels)
    if got.shape != x.shape:
        return f"its output has shape {tuple(got.shape)}"
    config = json.loads((member / CONFIG).read_text(encoding="utf-8"))
    if config["in_channels"] != 1 or config.get("sample_size") not in (None, 8, [8, 8]):  # None is any size
        return "it is for other images than zoo.toml says"
    unet = UNet2DModel.from_config(config)
    unet.load_state_dict(load_file(member / WEIGHTS))
    unet.eval()
    with torch.no_grad():
        given = {} if labels is None else {"class_labels": labels}
        own = unet(x, torch.tensor([500.0]), **given).sample[:, :1]
    same = np.array_equal(got.numpy(), own.numpy(), equal_nan=True)
    return None if same else "diffusers computes something else from these files"
