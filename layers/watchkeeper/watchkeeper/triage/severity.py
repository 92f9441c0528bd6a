"""How grave something is. Pure."""

from enum import StrEnum


class Severity(StrEnum):
    """Sigma's levels, the least first."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)
