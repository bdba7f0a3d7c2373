"""How networks run: precision, layout, compiled or not, and where they wait; for every job that samples."""

from __future__ import annotations

from omsdpm.devices import DTYPES, Running
from studies.jobs.settings import Settings, option

DEVICE = "Device"
"""Topic of the options."""


class RunningSettings(Settings):
    """Precision and layout of the zoo's members."""

    dtype: str | None = option(
        None, choices=lambda: DTYPES, topic=DEVICE, shown="the weights' own", help="Precision that members compute in."
    )
    channels_last: bool = option(
        False,
        flags=("--channels-last",),
        topic=DEVICE,
        help="Convolutions with channels last, faster on recent GPUs.",
    )
    compiled: bool = option(
        False, flags=("--compile",), topic=DEVICE, help="Compile members by torch.compile; takes minutes at first."
    )

    offload: bool = option(
        False,
        flags=("--offload",),
        topic=DEVICE,
        help="Members wait on the CPU while another is called, for zoos that the device has no memory for.",
    )

    @property
    def running(self) -> Running:
        """The same for a zoo."""
        return Running(self.dtype, self.channels_last, self.compiled, self.offload)
