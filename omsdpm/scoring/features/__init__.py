"""Features of images: networks that are found by name, ours and anybody's."""

from omsdpm.scoring.features.base import FEATURES, FeatureNetwork
from omsdpm.scoring.features.opening import features_digest, features_names, make_features
from omsdpm.scoring.features.train_digits import train_digit_network
from omsdpm.scoring.features.train_small import train_small_network

__all__ = [
    "FEATURES",
    "FeatureNetwork",
    "features_digest",
    "features_names",
    "make_features",
    "train_digit_network",
    "train_small_network",
]
