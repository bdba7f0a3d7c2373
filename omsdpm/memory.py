"""What members need of a device's memory, and which of them fit into it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError

if TYPE_CHECKING:
    from omsdpm.zoo.zoo import ModelZoo

MIB = 2**20

MEASURE = "measure with `omsdpm-bench zoo profile`"


def weights_of(zoo: ModelZoo) -> list[dict[str, Any]]:
    """The members' weights, ``{"members": [1, 3], "mib": 12.5}`` each: those that some members hold in common."""
    holders: dict[int, tuple[int, set[int]]] = {}
    for number, member in enumerate(zoo.members, start=1):
        module = member.network.weights
        for tensor in () if module is None else (*module.parameters(), *module.buffers()):
            storage = tensor.untyped_storage()
            holders.setdefault(storage.data_ptr(), (storage.nbytes(), set()))[1].add(number)
    sizes: dict[tuple[int, ...], int] = {}
    for size, numbers in holders.values():
        key = tuple(sorted(numbers))
        sizes[key] = sizes.get(key, 0) + size
    return [{"members": list(key), "mib": round(size / MIB, 3)} for key, size in sorted(sizes.items()) if size]


def memory_of(card: Mapping[str, Any], numbers: Sequence[int]) -> float:
    """MiB that some members take which are loaded together, with what the hungriest of them works with.

    What a member works with is known where ``zoo profile`` measured it, on CUDA; elsewhere weights are all.

    Args:
        card: of latencies (:class:`omsdpm.zoo.files.LatencyCard`), as a dict.
        numbers: of the members, from 1.

    Raises:
        InputError: the card says nothing of weights.

    Example:
        >>> memory_of({"weights": [{"members": [1, 2], "mib": 10.0}, {"members": [2], "mib": 5.0}]}, [1])
        10.0
    """
    if "weights" not in card:
        raise InputError(f"the latency table says nothing of the members' memory: {MEASURE}")

    def held(by: Sequence[int]) -> float:
        return float(sum(part["mib"] for part in card["weights"] if not set(by).isdisjoint(part["members"])))

    peaks: Sequence[float] | None = card.get("peak_mib")
    everyone = range(1, len(card["ms"]) + 1)
    working = 0.0
    if peaks is not None:
        there = [held([number] if card.get("offload") else everyone) for number in numbers]
        working = max(max(0.0, peaks[number - 1] - mib) for number, mib in zip(numbers, there, strict=True))
    return held(numbers) + working


def members_within(card: Mapping[str, Any], limit: float, offload: bool) -> list[tuple[int, ...]]:
    """The largest sets of members that fit into ``limit`` MiB, each together with all others of its set.

    Args:
        card: as for :func:`memory_of`.
        limit: MiB.
        offload: one member at a time is on the device, so that all that fit alone fit together.

    Raises:
        InputError: no member fits, or the card says nothing of weights.
    """
    everyone = range(1, len(card["ms"]) + 1)
    alone = [number for number in everyone if memory_of(card, [number]) <= limit]
    if not alone:
        least = min(memory_of(card, [number]) for number in everyone)
        raise InputError(f"{limit:g} MiB are too little for any member: the smallest takes {least:.4g}")
    return [tuple(alone)] if offload else list(_largest(card, limit, alone))


def _largest(card: Mapping[str, Any], limit: float, alone: Sequence[int]) -> Iterator[tuple[int, ...]]:
    found: list[set[int]] = []
    for size in range(len(alone), 0, -1):
        for numbers in combinations(alone, size):
            if not any(set(numbers) <= larger for larger in found) and memory_of(card, numbers) <= limit:
                found.append(set(numbers))
                yield numbers
