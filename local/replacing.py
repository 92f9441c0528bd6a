"""Replacing a piece of moto or botocore for as long as one box lives."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any


def replace(stack: ExitStack, owner: Any, name: str, new: Any) -> Any:
    """Set `owner.name` to `new` until the stack closes; returns what was there.

    Use it to extend a moto class at the API level: the new function calls the old one that this
    returns.
    """
    own = vars(owner)
    inherited = name not in own
    old = getattr(owner, name, None) if inherited else own[name]

    def undo() -> None:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, old)

    setattr(owner, name, new)
    stack.callback(undo)
    return old
