"""All news by name: how a stored or received message becomes its class again."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.news import (
    backups,
    drills,
    incidents,
    keys,
    policies,
    recovery,
    runs,
    scripts,
)
from watchkeeper.news.base import News

EVERY: Mapping[str, type[News]] = {
    kind.__name__: kind
    for module in (runs, policies, backups, keys, scripts, drills, recovery, incidents)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, News) and kind is not News
}


def read_news(told: Mapping[str, Any]) -> News:
    """The message as its class; a type that only a newer version knows is read as plain News and
    passed on.
    """
    return EVERY.get(str(told.get("type")), News).read(told)
