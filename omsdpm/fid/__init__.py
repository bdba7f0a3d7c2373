"""The Fréchet distance, and the statistics of features that it compares.

Importing this package imports NumPy and no torch.

Example:
    >>> reference = Statistics.of(network(real))
    >>> reference.distance(Statistics.of(network(images)))
"""

from omsdpm.fid.frechet import Reference, frechet_distance
from omsdpm.fid.statistics import Moments, Statistics

__all__ = ["Moments", "Reference", "Statistics", "frechet_distance"]
