"""What a variant is: a change of a model, or of how it is called, that needs no training.

A variant is registered in the entry-point group ``omsdpm.variants``, and named with parameters as
``skip[blocks=[3,4]]``. What it costs is measured by ``omsdpm-bench zoo profile``, as with every member.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from omsdpm.errors import InputError, one_line
from omsdpm.plugins import Named, Registry

VARIANTS = Registry("variant", "omsdpm.variants", needs=("apply",))


class Variant:
    """Another member of a model.

    Attributes:
        own_weights: :meth:`apply` changes weights, and has to be given some of its own.
        files: names of those parameters that are paths of files; their bytes count, not their names.
        keeps_state: evaluations of the changed model depend on earlier ones; :meth:`apply` gives it an attribute
            ``keeps_state`` too.

    Example:
        >>> class NoMiddle(Variant):
        ...     def apply(self, model):
        ...         model.mid_block = None
        ...         return model
    """

    own_weights: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ()
    keeps_state: ClassVar[bool] = False

    def keys(self) -> Mapping[str, Any]:
        """Keys of the ``[[member]]`` that say the same; where there are some, :meth:`apply` is not called."""
        return {}

    def apply(self, model: Any) -> Any:
        """The model, changed.

        Args:
            model: of diffusers, in evaluation mode; its modules may be changed and replaced, its weights only
                where :attr:`own_weights` says so, for others hold them too.

        Raises:
            InputError: it is no model that can be changed so.
        """
        return model


def variant_names() -> list[str]:
    """Names of the variants that are installed, sorted."""
    return VARIANTS.names()


def make_variant(text: str) -> Variant:
    """A variant by ``name[param=value,...]``.

    Raises:
        InputError: an unknown name or parameter.
    """
    variant: Variant = VARIANTS.make(text)
    return variant


def varied(model: Any, variants: Sequence[str]) -> Any:
    """A model with some variants, one after the other; the one given stays as it is.

    Weights that no variant changes are held once by both.

    Raises:
        InputError: an unknown variant, or one that the model cannot have.

    Example:
        >>> varied(UNet2DConditionModel.from_pretrained("unet"), ["tokens[merge=0.5]", "dtype[to=bfloat16]"])
    """
    made = [make_variant(text) for text in variants]
    if not made:
        return model
    own = any(getattr(variant, "own_weights", False) for variant in made)
    shared = {} if own else {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    changed = copy.deepcopy(model, memo=shared)
    for text, variant in zip(variants, made, strict=True):
        try:
            changed = variant.apply(changed)
        except InputError as error:
            raise InputError(f"variant {text!r} of a {type(model).__name__}: {error}") from error
        except Exception as error:  # whatever a model says to a change that is not for it
            reason = f"{type(error).__name__}: {one_line(error)}"[:200]
            raise InputError(f"variant {text!r} of a {type(model).__name__} cannot be made ({reason})") from error
    return changed.eval().requires_grad_(False)


def split_keys(variants: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What variants say as keys of a member, and those that change its model.

    Raises:
        InputError: an unknown variant, or a key that two of them say.
    """
    keys: dict[str, Any] = {}
    changing = []
    for text in variants:
        said = dict(getattr(make_variant(text), "keys", dict)())
        for key in said.keys() & keys.keys():
            raise InputError(f"variant {text!r}: an earlier one says {key} already")
        keys |= said
        if not said:
            changing.append(str(Named.parse(text)))
    return keys, tuple(changing)


def keep_state(variants: Sequence[str]) -> bool:
    """Whether a model with some variants depends on its earlier evaluations."""
    return any(getattr(VARIANTS.load(Named.parse(text).name), "keeps_state", False) for text in variants)


def variant_files(text: str) -> dict[str, str]:
    """Parameters of a variant that are paths of files, by name."""
    named = Named.parse(text)
    files = tuple(getattr(VARIANTS.load(named.name), "files", ()))
    return {key: str(value) for key, value in named.parameters.items() if key in files}
