"""News of recoveries in earnest."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from watchkeeper.news.base import LINE, LINES, News, cut, where_to_look

if TYPE_CHECKING:
    from watchkeeper.runs.record import Run, Told

ROOM: Mapping[str, int] = {
    "resource": 330, "name": 270, "known_from": 200,
    "made": 900, "put_back": 400, "differs": 1000, "by_hand": 2900, "removal": 900,
}  # fmt: skip
"""Bytes of a message for each field, of 8 KB in all; a name takes what DynamoDB lets it take."""
SHORT = 40
"""Bytes for each other sentence: an id, a time, a span of time."""


class ResourceRecovered(News):
    """Something was restored beside its original, because a person asked for it."""

    is_page: ClassVar[bool] = True
    resource: str
    name: str
    point: str
    point_created_at: str
    """As people read it, in UTC."""
    data_age: str
    took: str
    known_from: str
    made: list[str]
    put_back: list[str]
    differs: list[str]
    by_hand: list[str]
    removal: list[str]
    data_age_seconds: float
    recovery_seconds: float

    @classmethod
    def about(cls, run: "Run", *, at: datetime, of: str = "", **fields: Any) -> "Told":
        """Without what does not fit: the document has all of it."""
        return super().about(
            run, at=at, of=of, **{name: _fitted(name, value) for name, value in fields.items()}
        )

    def subject(self) -> str:
        return f"Recovered: {self.name}"

    def text(self) -> str:
        return (
            f"{self.resource} was restored beside itself, as {self.name}.\n\n"
            f"Recovery point: {self.point} of {self.point_created_at}. Its data was "
            f"{self.data_age} old when this was asked for. It could be used after {self.took}.\n\n"
            f"{_list('What was made', self.made)}"
            f"The original's settings are known from {self.known_from}.\n\n"
            f"{_list('Put back after the restore', self.put_back or ['nothing had to be'])}"
            f"{_list('Not as the original', self.differs or ['nothing that was looked at'])}"
            "What remains to be done by hand:\n" + "\n".join(self.by_hand) + "\n\n"
            "To remove what was made, which nobody does but you:\n"
            + "\n".join(f"     {line}" for line in self.removal)
            + f"\n\nThe whole of it: recoveries/{self.name}.json in the evidence bucket\n"
            f"How to go on: docs/recovering.md\n{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"ResourcesRecovered": 1}


def _list(title: str, lines: list[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {line}" for line in lines) + "\n\n"


def _fitted(name: str, value: Any) -> Any:
    room = ROOM.get(name, SHORT)
    if isinstance(value, str):
        return cut(value, room)
    return fitting(value, room) if isinstance(value, list) else value


def fitting(lines: Sequence[str], room: int) -> list[str]:
    """Those that fit into as many bytes of a message. What does not is left out whole, and said to
    be: half a command is worse than none.
    """
    kept: list[str] = []
    for line in lines:
        size = len(json.dumps(line))
        if size > LINE or size > room or len(kept) == LINES - 1:
            return [*kept, f"and {len(lines) - len(kept)} lines more: see the document"]
        kept.append(line)
        room -= size
    return kept
