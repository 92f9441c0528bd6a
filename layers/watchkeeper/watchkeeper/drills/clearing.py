"""Removing what drills have made, found by what it says of itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.aws.errors import Refused
from watchkeeper.drills.restoring import Left, Remover

SHOWN = 5
"""Things named in a status line."""


@dataclass(frozen=True)
class Found:
    """What is still there, and who removes it."""

    things: tuple[tuple[Remover, Left], ...] = ()
    refused: tuple[str, ...] = ()
    """Why it is not known what else there is."""


@dataclass(frozen=True)
class Cleared:
    """What became of it."""

    waits: Mapping[str, str] = field(default_factory=dict)
    """By thing, what must pass before it can be removed; empty if it is being removed."""
    refused: tuple[str, ...] = ()
    """What could not be looked for, or removed, and why."""

    @property
    def on(self) -> str:
        """`volume vol-1 to be gone`, `volume vol-2 (EC2 does not delete it yet) to be gone`."""
        shown = [f"{what} ({why})" if why else what for what, why in self.waits.items()]
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        return f"{', '.join(shown[:SHOWN])}{more} to be gone"


def find(removers: Iterable[Remover], is_meant: Callable[[Left], bool]) -> Found:
    """All that is meant; who may not look keeps nobody else from looking."""
    things: list[tuple[Remover, Left]] = []
    refused: list[str] = []
    for remover in removers:
        try:
            things += [(remover, one) for one in remover.left() if is_meant(one)]
        except Refused as error:
            refused.append(str(error))
    return Found(tuple(things), tuple(refused))


def clear(found: Found, called: Callable[[Left], str], now: datetime) -> Cleared:
    """Remove it. What cannot be removed keeps nothing else from being so."""
    waits: dict[str, str] = {}
    refused = list(found.refused)
    for remover, one in found.things:
        try:
            waits[called(one)] = remover.remove(one, now)
        except Refused as error:
            waits[called(one)] = str(error)
            refused.append(f"{called(one)}: {error}")
    return Cleared(waits, tuple(refused))
