"""Seeds: any whole number from 0 to 2^63 - 1, and two seeds are two seeds.

torch's generator of the CPU takes 32 bits of a seed, and NumPy's older one refuses longer ones.
Those up to 2^32 - 1 give what these libraries give; longer ones fill the whole state of the same
generators from NumPy's ``SeedSequence``, which mixes all bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from omsdpm.errors import InputError

if TYPE_CHECKING:
    import torch

LARGEST = 2**63 - 1

SHORT = 2**32
"""Seeds below it are given to the libraries as they are."""

Seed = Annotated[int, Field(ge=0, le=LARGEST)]
"""A field that is a seed."""

_WORDS = 624
"""Of the state of a Mersenne twister."""


def check_seed(seed: Any, what: str = "seed") -> int:
    """``seed`` as a Python integer.

    Raises:
        InputError: it is no whole number from 0 to 2^63 - 1.
    """
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= LARGEST:
        shown = seed if not isinstance(seed, int) or abs(seed) < 10**30 else f"a number of {seed.bit_length()} bits"
        raise InputError(f"{what}={shown!r}: expected a whole number from 0 to 2^63 - 1")
    return int(seed)


def after(seed: int) -> int:
    """The next seed; after the last one comes 0."""
    return (seed + 1) % (LARGEST + 1)


def torch_generator(seed: int, key: int | None = None) -> torch.Generator:
    """A generator on the CPU.

    Args:
        seed: see the module.
        key: of one stream of several that the seed has.

    Raises:
        InputError: no seed.

    Example:
        >>> torch.randn(3, generator=torch_generator(2**40))
    """
    import torch

    seed = check_seed(seed)
    if seed < SHORT:
        return torch.Generator().manual_seed(seed if key is None else (seed * 1_000_003 + key) % 2**63)
    # The public fields of the state's bytes: the seed, two counters, and from byte 24 on 624 words of 8 bytes.
    generator = torch.Generator().manual_seed(0)
    words = np.random.SeedSequence([seed] if key is None else [seed, key]).generate_state(_WORDS, np.uint32)
    words[0] |= np.uint32(2**31)  # so that not all of the bits that count are 0
    state = generator.get_state()
    state[24 : 24 + 8 * _WORDS] = torch.from_numpy(words.astype("<u8").view(np.uint8))
    return generator.set_state(state)


def seed_torch(seed: int) -> None:
    """Gives torch's global generator of the CPU the state of a seed, and those of other devices its low bits."""
    import torch

    torch.manual_seed(check_seed(seed) % SHORT)
    torch.set_rng_state(torch_generator(seed).get_state())


def numpy_state(seed: int) -> np.random.RandomState:
    """NumPy's older generator, which scikit-learn takes.

    Raises:
        InputError: no seed.
    """
    seed = check_seed(seed)
    return np.random.RandomState(seed if seed < SHORT else np.random.MT19937(np.random.SeedSequence(seed)))
