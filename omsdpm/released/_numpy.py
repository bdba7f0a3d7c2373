"""NumPy values in a pickle, rebuilt without letting the pickle call NumPy.

``numpy.dtype.__setstate__`` believes any flags that a file gives it, and a number that claims
to be an object pointer is memory corruption. So NumPy's names in a pickle stand for the
classes and functions here, which take a few kinds of numbers and check them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CODES = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"b1", "f2", "f4", "f8"}


class _Dtype:
    """Stands for ``numpy.dtype``: one of :data:`CODES` and a byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if code not in CODES:
            raise ValueError(f"a NumPy value of type {code!r} is no number")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise ValueError(f"byte order {state[1]!r}")
        self.order = state[1]

    def read(self, raw: Any, count: int) -> NDArray[Any]:
        """``count`` numbers from their bytes."""
        dtype = np.dtype(self.order + self.code)
        if not isinstance(raw, bytes) or len(raw) != count * dtype.itemsize:
            raise ValueError(f"expected the bytes of {count} NumPy numbers")
        return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))


class _Array:
    """Stands for ``numpy.ndarray``; the array is there once the pickle has set its state."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError("an array of something other than numbers")
        count = int(np.prod(shape, dtype=object)) if shape else 1
        self.array = dtype.read(raw, count).reshape(shape, order="F" if fortran else "C")


def _scalar(dtype: Any, raw: Any) -> Any:
    """Stands for ``numpy.core.multiarray.scalar``."""
    if not isinstance(dtype, _Dtype):
        raise ValueError("a NumPy value of no known type")
    return dtype.read(raw, 1)[0]


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    """Stands for ``numpy.core.multiarray._reconstruct``, which makes an array to be filled."""
    if kind is not _Array:
        raise ValueError("an array of an unknown class")
    return _Array()


STAND_INS: list[tuple[Any, str]] = [
    (_Dtype, "numpy.dtype"),
    (_Array, "numpy.ndarray"),
    *((_scalar, f"{module}.multiarray.scalar") for module in ("numpy.core", "numpy._core")),
    *((_reconstruct, f"{module}.multiarray._reconstruct") for module in ("numpy.core", "numpy._core")),
]
"""For ``torch.serialization.safe_globals``, under the module names of NumPy 1 and 2."""


def unwrap(value: Any) -> Any:
    """``value`` with the array in place of its stand-in."""
    return value.array if isinstance(value, _Array) else value
