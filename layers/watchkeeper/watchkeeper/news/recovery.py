"""News of recoveries in earnest."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


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
    document: str
    """Where all of it is written down."""
    data_age_seconds: float
    recovery_seconds: float

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
            + f"\n\nThe whole of it: {self.document}\n"
            f"How to go on: docs/recovering.md\n{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"ResourcesRecovered": 1}


def _list(title: str, lines: list[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {line}" for line in lines) + "\n\n"
