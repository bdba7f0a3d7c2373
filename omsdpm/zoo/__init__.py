"""Zoos: networks for the same data, from cheap to costly, as folders under one ``zoo.toml``."""

from omsdpm.zoo.files import ZooFile, write_zoo
from omsdpm.zoo.zoo import Member, ModelZoo

__all__ = ["Member", "ModelZoo", "ZooFile", "write_zoo"]
