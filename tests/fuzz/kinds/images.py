"""Images, and statistics of them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind, refused
from tests.fuzz.kinds.builds import bomb, header_of_terabytes
from tests.fuzz.mutations import Rng, array_changed, damaged

SIZE = 8


class ImageKind(Kind):
    """Pictures and ``.npz``."""

    name = "images, .npz"
    share = 0.9

    def case(self, rng: Rng, folder: Path) -> Case:
        return self._statistics(rng, folder) if rng.random() < 0.35 else self._picture(rng, folder)

    def _picture(self, rng: Rng, folder: Path) -> Case:
        files = sorted((self.valid / "images").iterdir())
        source = files[int(rng.integers(len(files)))]
        images = folder / "images"
        images.mkdir()
        path = images / source.name
        channels = int(rng.choice([1, 3]))
        wrong: Callable[[Any], str | None] = _same_picture(path, channels)
        act = rng.random()
        if act < 0.7:
            what, raw = damaged(source.read_bytes(), rng)
            path.write_bytes(raw)
        else:
            names = list(PICTURES)
            what = names[int(rng.integers(len(names)))]
            path = images / "x.png"
            wrong = _same_picture(path, channels)
            if PICTURES[what](path, rng):
                wrong = refused("it claims more pixels than it has bytes for, or is no picture")

        def read() -> Any:
            from omsdpm.images import load_image_folder

            return load_image_folder(images, SIZE, channels)

        return Case(f"{path.name}: {what}", path, read, wrong)

    def _statistics(self, rng: Rng, folder: Path) -> Case:
        path = folder / "reference.npz"
        features = rng.normal(size=(20, 5))
        arrays: dict[str, Any] = {"mu": features.mean(0), "sigma": np.cov(features, rowvar=False), "n": np.array(20)}
        np.savez(path, **arrays)
        act = rng.random()
        wrong: Callable[[Any], str | None] = _same_statistics(path)
        if act < 0.35:
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)
        elif act < 0.7:
            key = list(arrays)[int(rng.integers(3))]
            what, arrays[key] = array_changed(arrays[key], rng)
            what = f"{key} {what}"
            if rng.random() < 0.15:
                del arrays[key]
                what = f"{key} removed"
            np.savez(path, **arrays)
        else:
            names = list(ARCHIVES)
            what = names[int(rng.integers(len(names)))]
            ARCHIVES[what](path, arrays)
            wrong = refused("it is no statistics")

        def read() -> Any:
            from omsdpm.fid import Statistics

            return Statistics.read(path)

        return Case(f"{path.name}: {what}", path, read, wrong)


def _same_picture(path: Path, channels: int) -> Callable[[Any], str | None]:
    def wrong(got: Any) -> str | None:
        from PIL import Image

        if got.shape != (1, channels, SIZE, SIZE) or not np.isfinite(got).all() or np.abs(got).max() > 1:
            return f"{got.shape}, values to {np.abs(got).max()}"
        with Image.open(path) as image:
            image.load()
            if image.mode in ("F", "I") or image.mode.startswith("I;"):
                return None  # scaled, which tests of images hold
            own = image.convert("L" if channels == 1 else "RGB")
            own = own if own.size == (SIZE, SIZE) else own.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        pixels = np.asarray(own, dtype=float).reshape(SIZE, SIZE, channels).transpose(2, 0, 1)
        return None if np.allclose((got[0] + 1) * 127.5, pixels, atol=1e-3) else "Pillow reads other pixels"

    return wrong


def _same_statistics(path: Path) -> Callable[[Any], str | None]:
    def wrong(got: Any) -> str | None:
        with np.load(path) as file:
            mu, sigma = file["mu"], file["sigma"]
            n = file["n"] if "n" in file.files else None
        if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not len(mu):
            return f"shapes {mu.shape} and {sigma.shape}"
        if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
            return "NaN or infinity"
        if not np.allclose(sigma, sigma.T):
            return "its covariance is not symmetric"
        if mu.dtype.kind == "b" or sigma.dtype.kind == "b":
            return "true and false are no numbers"
        if n is not None and (n.ndim or n.dtype.kind not in "iuf" or n < 2 or n != int(n) or int(n) != got.n):
            return f"n is {n!r}"
        if (np.diag(sigma) < 0).any():
            return "a variance is negative"
        return None if np.array_equal(mu, got.mu) and np.array_equal(sigma, got.sigma) else "its numbers were changed"

    return wrong


def _png(width: int, height: int, raw: bytes, depth: int = 8, color: int = 0) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", raw) + chunk(b"IEND", b"")


def _bomb_png(path: Path, rng: Rng) -> bool:
    path.write_bytes(_png(60_000, 60_000, zlib.compress(bytes(10**6))))
    return True


def _wide_png(path: Path, rng: Rng) -> bool:
    path.write_bytes(_png(2**31 - 1, 1, zlib.compress(bytes(100))))
    return True


def _large_png(path: Path, rng: Rng) -> bool:
    """As large as Pillow warns of and does not refuse."""
    compressor = zlib.compressobj(9)
    raw = b"".join(compressor.compress(bytes(12_001 * 100)) for _ in range(120)) + compressor.flush()
    path.write_bytes(_png(12_000, 12_000, raw))
    return False


def _no_pixels(path: Path, rng: Rng) -> bool:
    path.write_bytes(_png(0, 0, zlib.compress(b"")))
    return True


def _text_bomb(path: Path, rng: Rng) -> bool:
    content = b"key\0\0" + zlib.compress(bytes(2**26))
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    whole = _png(4, 4, zlib.compress(bytes(4 * 5)))
    path.write_bytes(whole[:33] + chunk + whole[33:])
    return True


def _words(path: Path, rng: Rng) -> bool:
    path.write_text("no picture")
    return True


def _pipe(path: Path, rng: Rng) -> bool:
    import os

    os.mkfifo(path)
    return True


def _dangling(path: Path, rng: Rng) -> bool:
    path.symlink_to(path.parent / "nowhere")
    return True


def _folder(path: Path, rng: Rng) -> bool:
    path.mkdir()
    return True


def _float_tiff(path: Path, rng: Rng) -> bool:
    from PIL import Image

    values = np.full((4, 4), [np.nan, np.inf, -3.0, 40.0][int(rng.integers(4))], dtype=np.float32)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    path.write_bytes(buffer.getvalue())
    return True


PICTURES: dict[str, Callable[[Path, Rng], bool]] = {
    "a bomb": _bomb_png,
    "wide": _wide_png,
    "large": _large_png,
    "no pixels": _no_pixels,
    "a bomb of text": _text_bomb,
    "words": _words,
    "a pipe": _pipe,
    "a link to nothing": _dangling,
    "a folder": _folder,
    "floats that are none": _float_tiff,
}
"""Makes a file; whether it must be refused."""


def _bomb_npz(path: Path, arrays: dict[str, Any]) -> None:
    bomb(path, "sigma", arrays)


def _terabytes(path: Path, arrays: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mu.npy", header_of_terabytes())
        archive.writestr("sigma.npy", header_of_terabytes())


def _encrypted(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)
    raw = bytearray(path.read_bytes())
    for at in range(len(raw) - 9):
        if raw[at : at + 4] == b"PK\x03\x04":
            raw[at + 6] |= 1
        if raw[at : at + 4] == b"PK\x01\x02":
            raw[at + 8] |= 1
    path.write_bytes(bytes(raw))


def _objects(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, mu=np.array([None, {}], dtype=object), sigma=arrays["sigma"])


def _strings(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, mu=np.array(["a", "b"]), sigma=arrays["sigma"])


def _method(path: Path, arrays: dict[str, Any]) -> None:
    """A method of compression that nobody knows."""
    np.savez(path, **arrays)
    raw = bytearray(path.read_bytes())
    for at in range(len(raw) - 11):
        if raw[at : at + 4] == b"PK\x03\x04":
            raw[at + 8] = 77
        if raw[at : at + 4] == b"PK\x01\x02":
            raw[at + 10] = 77
    path.write_bytes(bytes(raw))


def _single(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.save(file, arrays["mu"])


def _literal(path: Path, arrays: dict[str, Any]) -> None:
    """A header that is no literal, but nests too deeply for Python's parser."""
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + b"(" * 3000 + b")" * 3000 + b", }\n"
    raw = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mu.npy", raw)
        archive.writestr("sigma.npy", raw)


ARCHIVES: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "a bomb": _bomb_npz,
    "a header of terabytes": _terabytes,
    "encrypted": _encrypted,
    "objects": _objects,
    "strings": _strings,
    "a strange method": _method,
    "a single array": _single,
    "a header that is no literal": _literal,
}
