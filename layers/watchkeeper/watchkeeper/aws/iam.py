"""Which IAM actions a method needs: declared beside the call, compared with template.yaml by a
test.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def needs(*actions: str) -> Callable[[Method], Method]:
    """Declare the IAM actions that the decorated method's API calls are checked for, dependent ones
    included.
    """

    def declare(method: Method) -> Method:
        method.__iam_actions__ = frozenset(actions)  # type: ignore[attr-defined]
        return method

    return declare


def needed_by(*adapters: type) -> frozenset[str]:
    """Every action that the methods of `adapters` declare."""
    methods = (getattr(adapter, name) for adapter in adapters for name in dir(adapter))
    return frozenset[str]().union(*(getattr(method, "__iam_actions__", ()) for method in methods))
