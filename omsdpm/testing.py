"""What the conformance kits share: checks without a test framework, so that any can run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from omsdpm.errors import InputError


@contextmanager
def refuses(words: str) -> Iterator[None]:
    """Asserts that what is called within raises an :class:`InputError` of one line with ``words`` in it.

    Args:
        words: a regular expression, searched for in the message.

    Raises:
        AssertionError: nothing is refused, or with other words.
    """
    try:
        yield
    except InputError as error:
        message = str(error)
        assert re.search(words, message), f"the message {message!r} does not say {words!r}"
        assert "\n" not in message, f"the message {message!r} has several lines"
    else:
        raise AssertionError(f"was accepted: expected an InputError that says {words!r}")
