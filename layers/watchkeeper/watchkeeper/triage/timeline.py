"""One timeline over all sources of an incident. Pure."""

from collections.abc import Iterator

from watchkeeper.quoting import quoted
from watchkeeper.triage.phrases import clean, short
from watchkeeper.triage.report import Claim, Moment, Source
from watchkeeper.triage.rulings import Facts
from watchkeeper.triage.trail_claims import by_whom

MOST = 60
"""Moments: two screens."""
LONGEST = 200
"""Characters of one."""
RANK = {
    "alarm": 0, "suspicious": 1, "change": 2, "database": 2, "new error": 3, "anomaly": 4,
    "silence": 4,
}  # fmt: skip
"""Of too many moments those stay that are of an earlier rank, and there those told first."""


def timeline(facts: Facts) -> tuple[Moment, ...]:
    """The most telling moments, in order."""
    every = list(dict.fromkeys(_moments(facts)))
    every.sort(key=lambda one: RANK.get(one.mark, len(RANK)))  # else in the order told
    return tuple(sorted(every[:MOST], key=lambda one: (one.at, RANK.get(one.mark, 0), one.text)))


def _moments(facts: Facts) -> Iterator[Moment]:
    for alarm in facts.gathered.alarms:
        name = quoted(alarm.name)
        yield Moment(alarm.at, Source.ALARM, f"{name} is {clean(alarm.state, 40)}", "alarm")
        if alarm.since < alarm.at:
            yield Moment(alarm.since, Source.ALARM, f"first bad datapoint of {name}", "alarm")
    yield from _of(facts.trail.suspicious, "suspicious")
    for change in facts.trail.changes:
        if change.at.year > 1:
            action = quoted(change.action).strip('"')
            what = f"{action} on {quoted(short(change.via or change.resource))}"
            yield Moment(change.at, Source.TRAIL, f"{what} by {by_whom(change)}", "change")
    for database in facts.gathered.databases:
        for event in database.events:
            text = f"{quoted(event.resource)}: {quoted(event.text, LONGEST)}"
            yield Moment(event.at, Source.DATABASE, clean(text, LONGEST), "database")
    for news in facts.logs.news:
        mark = "new error" if news.is_new else "anomaly"
        yield Moment(news.first, Source.LOGS, clean(news.claim.text, LONGEST), mark)
    yield from _of(facts.metrics.moved, "anomaly")
    yield from _of(
        (*facts.logs.silences, *facts.metrics.silences, *facts.trail.silences), "silence"
    )


def _of(claims: tuple[Claim, ...], mark: str) -> Iterator[Moment]:
    for one in claims:
        if one.at is not None and one.at.year > 1:
            yield Moment(one.at, one.source, clean(one.text, LONGEST), mark)
