"""Networks: the kinds of members that a zoo may have."""
