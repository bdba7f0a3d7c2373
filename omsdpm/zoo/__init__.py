"""Zoos: networks for the same data, from cheap to costly, as folders under one ``zoo.toml``."""

from omsdpm.zoo.digest import zoo_digest
from omsdpm.zoo.files import ZooFile
from omsdpm.zoo.member import Member
from omsdpm.zoo.recipe import write_zoo
from omsdpm.zoo.zoo import ModelZoo

__all__ = ["Member", "ModelZoo", "ZooFile", "write_zoo", "zoo_digest"]
