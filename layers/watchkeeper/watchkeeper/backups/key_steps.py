"""How the keys of recovery points are watched: looked at, counted, and told of when one fails."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.key_watch import KeyWatchTable
from watchkeeper.aws.keys import Keys
from watchkeeper.backups.keys import failing, held, in_lines, keys_of, points_under, remembered
from watchkeeper.backups.model import CAPABILITY, RecoveryPoint
from watchkeeper.news.base import LINES
from watchkeeper.news.keys import KeysChecked, KeysFailing
from watchkeeper.runs.record import Done, Report, Run, Step, Waiting


@dataclass(frozen=True)
class Watching:
    """What the step acts on."""

    keys: Keys
    points: Callable[[], Iterable[RecoveryPoint]]
    """Every recovery point that is listed, ours and others'."""
    watch: KeyWatchTable


def ensure_keys_checked(run: Run, cloud: Watching, now: datetime) -> Report:
    """Look at every key that a recovery point needs; tell people, once, of those that fail."""
    under = held(cloud.points())
    keys = failing(under, cloud.keys.states(keys_of(under)))
    told_before, version = cloud.watch.told(CAPABILITY)
    told = remembered(keys, told_before, run.id)
    try:
        cloud.watch.remember(CAPABILITY, told, version, now)
    except AlreadyThere:  # or an answer of ours was lost: then what is new is still ours to tell
        return Waiting("another check of the keys to end", until=now)
    known = [one for one in keys if one.key.is_known]
    checked = KeysChecked.about(
        run,
        at=now,
        keys=len(keys_of(under)),
        points=sum(amount.points for amount in under.values()),
        failing=points_under(under, known),
        unchecked=points_under(under, (one for one in keys if not one.key.is_known)),
        reasons=[str(one) for one in keys],
    )
    fresh = [one for one in keys if told[one.id] == run.id]
    if not fresh:
        return Done(news=[checked])
    page = KeysFailing.about(
        run,
        at=now,
        fresh=in_lines(fresh, LINES),
        fresh_in_all=len(fresh),
        in_all=len(keys),
        points=points_under(under, keys),
    )
    return Done(news=[checked, page])


KEYS = (
    Step("check keys", ensure_keys_checked, within=timedelta(hours=1)),
)  # fmt: skip
