"""Networks: the kinds of members that a zoo may have, found by the name of their kind."""

from omsdpm.networks.base import NETWORKS, MemberTable, Network, member_table

__all__ = ["NETWORKS", "MemberTable", "Network", "member_table", "network_names"]


def network_names() -> list[str]:
    """Kinds of networks that are installed, sorted."""
    return NETWORKS.names()
