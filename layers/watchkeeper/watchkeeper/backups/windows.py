"""When RDS works on a database itself, so that a snapshot had better wait. Pure.

Windows come as Describe writes them, in UTC:
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.backups.model import Windows

BEFORE_MAINTENANCE = timedelta(hours=1)
"""AWS Backup, too, starts no backup in the hour before a maintenance window:
https://docs.aws.amazon.com/aws-backup/latest/devguide/plan-options-and-configuration.html
"""
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_MOMENT = rf"(?:({'|'.join(DAYS)}):)?{_TIME}"
_WINDOW = re.compile(f"{_MOMENT}-{_MOMENT}")


@dataclass(frozen=True)
class Closed:
    """What a snapshot waits for."""

    why: str
    until: datetime


def closed(windows: Windows, now: datetime) -> Closed | None:
    """The window that `now` (UTC) is in, if any; of two, the one that ends last.

    A window that cannot be read holds nothing up: `unreadable` names it.
    """
    backup = _open_until(_daily(windows.backup), timedelta(0), now)
    maintenance = _open_until(_weekly(windows.maintenance), BEFORE_MAINTENANCE, now)
    found = []
    if backup:
        found.append(Closed(f"its backup window {windows.backup} UTC is open", backup))
    if maintenance:
        why = f"its maintenance window {windows.maintenance} UTC is open, or will be within an hour"
        found.append(Closed(why, maintenance))
    return max(found, key=lambda one: one.until, default=None)


def unreadable(windows: Windows) -> list[str]:
    """The windows that are not written as AWS documents them."""
    read = ((windows.backup, _daily), (windows.maintenance, _weekly))
    return [text for text, reader in read if text and reader(text) is None]


@dataclass(frozen=True)
class _Recurring:
    """A window: where in its period it opens, and for how long."""

    opens: timedelta
    lasts: timedelta
    period: timedelta


def _daily(text: str) -> _Recurring | None:
    matched = _WINDOW.fullmatch(text)
    if matched is None or matched[1] or matched[4]:
        return None
    return _recurring(_minutes(matched[2], matched[3]), _minutes(matched[5], matched[6]), DAY)


def _weekly(text: str) -> _Recurring | None:
    matched = _WINDOW.fullmatch(text.lower())
    if matched is None or not (matched[1] and matched[4]):
        return None
    opens = DAYS.index(matched[1]) * DAY + _minutes(matched[2], matched[3])
    closes = DAYS.index(matched[4]) * DAY + _minutes(matched[5], matched[6])
    return _recurring(opens, closes, WEEK)


def _recurring(opens: timedelta, closes: timedelta, period: timedelta) -> _Recurring | None:
    lasts = (closes - opens) % period  # it may pass midnight, or the week's end
    return _Recurring(opens, lasts, period) if lasts else None


def _minutes(hours: str, minutes: str) -> timedelta:
    return timedelta(hours=int(hours), minutes=int(minutes))


def _open_until(window: _Recurring | None, early: timedelta, now: datetime) -> datetime | None:
    """When the window ends that has begun, or begins within `early`; None if there is none."""
    if window is None:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    began = midnight - (now.weekday() * DAY if window.period == WEEK else timedelta(0))
    since = (now - began - window.opens + early) % window.period
    return now - since + early + window.lasts if since < early + window.lasts else None
