"""Zoos: networks for the same data, from cheap to costly, as folders under one ``zoo.toml``."""

from omsdpm.zoo._zoo import Member, ModelZoo
from omsdpm.zoo.files import ZooFile, write_zoo

__all__ = ["Member", "ModelZoo", "ZooFile", "write_zoo"]
