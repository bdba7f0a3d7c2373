"""Scoring: feature networks, statistics of features, and the Fréchet distance between them.

Only InceptionV3 pool features give ``fid``; the distance under the digit network is
``fd-digits``. Importing this package imports NumPy and no torch.

Example:
    >>> network = make_feature_network("fd-digits")
    >>> reference = digits_statistics(network)
    >>> reference.distance(Statistics.of(network(images)))
"""

from omsdpm.fid.features import METRICS, FeatureNetwork, make_feature_network
from omsdpm.fid.frechet import Reference, frechet_distance
from omsdpm.fid.reference import digits_statistics, folder_statistics, image_statistics
from omsdpm.fid.statistics import Moments, Statistics
from omsdpm.fid.train_digits import train_digit_network

__all__ = [
    "METRICS",
    "FeatureNetwork",
    "Moments",
    "Reference",
    "Statistics",
    "digits_statistics",
    "folder_statistics",
    "frechet_distance",
    "image_statistics",
    "make_feature_network",
    "train_digit_network",
]
