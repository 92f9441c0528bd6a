"""Removing what drills have made, found by what it says of itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.aws.errors import Refused
from watchkeeper.drills.restoring import Left, Remover

SHOWN = 5
"""Things named in a status line."""


@dataclass(frozen=True)
class Cleared:
    """What was still there, and what became of it."""

    waits: Mapping[str, str] = field(default_factory=dict)
    """By thing, what must pass before it can be removed; empty if it is being removed."""
    refused: tuple[str, ...] = ()
    """What could not be found or removed, and why."""

    @property
    def on(self) -> str:
        """`volume vol-1 to be gone`, `volume vol-2 (EC2 does not delete it yet) to be gone`."""
        shown = [f"{what} ({why})" if why else what for what, why in self.waits.items()]
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        return f"{', '.join(shown[:SHOWN])}{more} to be gone"


def clear(
    removers: Iterable[Remover],
    is_meant: Callable[[Left], bool],
    called: Callable[[Left], str],
    now: datetime,
) -> Cleared:
    """Remove all that is meant. What cannot be removed keeps nothing else from being so."""
    waits: dict[str, str] = {}
    refused: list[str] = []
    for remover in removers:
        try:
            found = [one for one in remover.left() if is_meant(one)]
        except Refused as error:
            refused.append(str(error))
            continue
        for one in found:
            try:
                waits[called(one)] = remover.remove(one, now)
            except Refused as error:
                waits[called(one)] = str(error)
                refused.append(f"{called(one)}: {error}")
    return Cleared(waits, tuple(refused))
