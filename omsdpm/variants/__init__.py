"""Variants: what makes another member of a model that one has, without training."""

from omsdpm.variants.base import VARIANTS, Variant, make_variant, variant_names, varied

__all__ = ["VARIANTS", "Variant", "make_variant", "variant_names", "varied"]
