"""How a recovery went, written down: the document, and the lines of the page."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from textwrap import wrap

from watchkeeper import naming
from watchkeeper.backups.model import RecoveryPoint
from watchkeeper.recovery.model import ByHand, Difference, Handover

SCHEMA = 1
"""Fields are added, never renamed."""
WIDTH = 150
"""Of a sentence on a page; commands are never broken."""


@dataclass(frozen=True)
class Recovery:
    """One that has been done."""

    run: str
    name: str
    point: RecoveryPoint
    asked_at: datetime
    available_at: datetime
    ended_at: datetime
    """When the settings had been put back."""
    known_from: str
    """Where the original's settings are known from."""
    put_back: Sequence[str]
    """Settings that were put back after the restore, by name."""
    differences: Sequence[Difference]
    handover: Handover

    @property
    def data_age(self) -> timedelta:
        """When it was asked for."""
        return self.asked_at - self.point.created_at

    @property
    def took(self) -> timedelta:
        """Until it could be used."""
        return self.available_at - self.asked_at

    def to_json(self) -> bytes:
        document = {
            "schema": SCHEMA,
            "resource": self.point.resource,
            "name": self.name,
            "point": self.point.id,
            "point_created_at": naming.instant(self.point.created_at),
            "run": self.run,
            "asked_at": naming.instant(self.asked_at),
            "available_at": naming.instant(self.available_at),
            "ended_at": naming.instant(self.ended_at),
            "data_age_seconds": self.data_age.total_seconds(),
            "took_seconds": self.took.total_seconds(),
            "settings_known_from": self.known_from,
            "put_back": list(self.put_back),
            "differences": [asdict(one) for one in self.differences],
            **asdict(self.handover),
        }
        return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode()


# ── For the page ──────────────────────────────────────────────────────────────────────────────────


def differing(differences: Iterable[Difference]) -> list[str]:
    return [
        f"{one.name}: was {one.wanted}, is {one.found}" + (f" ({one.why})" if one.why else "")
        for one in differences
    ]


def numbered(by_hand: Iterable[ByHand]) -> list[str]:
    """Each step, and below it its commands."""
    return [
        line
        for number, one in enumerate(by_hand, start=1)
        for line in (
            *wrap(f"{number}. {one.what}", WIDTH, subsequent_indent="   ", break_on_hyphens=False),
            *(f"     {each}" for each in one.commands),
        )
    ]


def span(time: timedelta) -> str:
    """`3 days 4 hours`, `12 minutes`: as exactly as somebody wants to hear it."""
    minutes = round(time.total_seconds() / 60)
    parts = {"day": minutes // 1440, "hour": minutes // 60 % 24, "minute": minutes % 60}
    said = [f"{count} {unit}{'s' if count != 1 else ''}" for unit, count in parts.items() if count]
    return " ".join(said[:2]) or "less than a minute"
