"""A network without weights."""

from typing import Literal

from omsdpm.networks.base import MemberTable, Network, PredictionType


class Shrink(Network):
    """Takes the noisy image, made paler, for the image."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x, timesteps, **conditions):
        return self.factor * x.clamp(-1, 1)


class ShrinkTable(MemberTable):
    """The noisy image times ``factor`` as the prediction of the image."""

    kind: Literal["shrink"] = "shrink"
    factor: float
    prediction_type: PredictionType = "sample"

    def load(self, folder, shape, device):
        return Shrink(self.factor)
