"""Features of images: the networks, and the metrics that they define."""

from omsdpm.scoring.features.base import METRICS, FeatureNetwork, make_feature_network
from omsdpm.scoring.features.train_digits import train_digit_network

__all__ = ["METRICS", "FeatureNetwork", "make_feature_network", "train_digit_network"]
