"""What all news have in common."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from watchkeeper import naming

if TYPE_CHECKING:
    from watchkeeper.runs.record import Run, Told

LIMIT = 8 * 1024
"""Bytes of a message as JSON. SNS takes 256 KiB; a key and a version need little, and eight run in
one record's outbox.
"""
SENTENCE = 1_000
"""Bytes of one explanation in a message; the record holds the whole."""
LINE = 240
"""Bytes of one line of a list; twenty of them leave a third of the message to everything else."""
LINES = 20
"""Lines of a list in a message; a person reads no more at night, and the record holds the rest."""


class News(BaseModel):
    """A fact, in the past tense. The class name is its `type`, which subscriptions filter by."""

    # A newer version may say more than we know.
    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    is_page: ClassVar[bool] = False
    """For people: goes to PagesTopic as text."""

    schema_version: int = 1
    id: str
    """The same however often it is sent, so that readers can drop repeats."""
    capability: str
    run: str
    version: int = 0
    """The run's version when this was sent; readers ignore news older than what they acted on."""
    at: datetime

    @classmethod
    def about(cls, run: "Run", *, at: datetime, of: str = "", **fields: Any) -> "Told":
        """This news in its stored form. `of` tells several of one kind by one step apart."""
        parts = [run.id, f"{run.finished:04d}-{run.step or 'run'}", of, cls.__name__]
        news = cls(
            id="/".join(part for part in parts if part),
            capability=run.capability,
            run=run.id,
            at=at,
            **shortened(fields),
        )
        return news.told()

    def told(self) -> "Told":
        """As plain JSON values, with its type; raises ValueError above the limit."""
        told = {"type": type(self).__name__, **self.model_dump(mode="json")}
        size = len(json.dumps(told))
        if size > LIMIT:
            raise ValueError(
                f"{type(self).__name__} of {self.run} takes {size} bytes; the limit is {LIMIT}"
            )
        return told

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        return cls.model_validate({key: value for key, value in told.items() if key != "type"})

    def subject(self) -> str:
        """The line that people see first. SNS allows 100 characters of ASCII."""
        return f"{type(self).__name__}: {self.run}"

    def text(self) -> str:
        """The page: what happened, why, what happens next, and where to look."""
        raise NotImplementedError(f"{type(self).__name__} is for machines")

    def measures(self) -> Mapping[str, float]:
        """Metrics that count when this is sent."""
        return {}


def shortened(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Long sentences cut, long lists ended with a count: no message outgrows the limit."""

    def short(value: Any) -> Any:
        if isinstance(value, str):
            return cut(value, SENTENCE)
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], str):
            lines = [cut(line, LINE) for line in value[:LINES]]
            return [*lines, f"and {len(value) - LINES} more"] if len(value) > LINES else lines
        return value

    return {name: short(value) for name, value in fields.items()}


def cut(text: str, most: int) -> str:
    """As much of `text` as takes `most` bytes in JSON, where a foreign letter takes six."""
    if len(json.dumps(text[: most + 1])) - len('""') <= most:
        return text
    size = 0
    for length, character in enumerate(text):
        size += len(json.dumps(character)) - len('""')
        if size > most:
            return text[:length] + "…"
    return text


def where_to_look(run: str) -> str:
    pk = naming.run_key(run)["pk"]
    return f"Record: pk = {pk} in the table; its STEP# items tell what was done when."
