"""The look at the audit trail: who changed what before and during the incident."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from watchkeeper.aws.errors import AwsError
from watchkeeper.triage.audit_records import kept
from watchkeeper.triage.gathered import Found, Resource, Trail, Unchecked
from watchkeeper.triage.looking import Asked

if TYPE_CHECKING:
    from watchkeeper.aws.audit_trail import Logging, Read, RingState

BEFORE = timedelta(hours=1)
"""Before the window: a change is mostly felt within minutes, a slow leak within the hour."""
DELAY = timedelta(minutes=15)
"""Until CloudTrail has told of an event: "within an average of about 5 minutes", not guaranteed;
measured, nearly all within 15, which its documentation used to name.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
"""
ALIVE = timedelta(days=1)
"""A ring in which nothing came for longer is not relied on: in an account that is used, something
is changed every day, if only by this stack.
"""
MOST_PAGES = 24
"""Of the ring, 1 MB each: read, parsed and held in some 150 MB and three seconds. Ten minutes of
the ring take one at least, and the whole window eleven.
"""
MOST_EVENTS = 4_000
"""After which no further page of the ring is read: more than twice what is kept, so that those of
the alarms' resources are found among them.
"""
MOST_LOOKUPS = 12
"""Requests of one look: six seconds of what the whole account may ask, so that there is time for
the report, and something left for others.
"""
MOST_NAMES = 4
"""Resources that are asked for one by one, a request each, so that eight are left for the rest."""
MOST_WORLDWIDE = 2
"""Requests for IAM's events where they are told in another Region: a hundred, reads among them."""


class Ring(Protocol):
    """The log group of management events."""

    group: str

    def state(self) -> "RingState | None": ...

    def read(
        self, since: datetime, until: datetime, *, most_pages: int, most_events: int
    ) -> "Read": ...


class History(Protocol):
    """What CloudTrail keeps by itself."""

    def look_up(
        self, attribute: str, value: str, since: datetime, until: datetime, *, most_pages: int
    ) -> "Read": ...


class Trails(Protocol):
    """The trails of the Region."""

    def logging(self) -> "Logging": ...


@dataclass
class _Told:
    """What has been found out so far."""

    since: datetime
    """From when on the events are all there."""
    events: list[Any] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    most: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    used: dict[str, float] = field(default_factory=dict)

    def add(self, read: "Read", used: str) -> None:
        self.events += read.events
        self.used[used] = self.used.get(used, 0.0) + read.requests

    def could_not(self, what: str, why: str) -> None:
        self.unchecked.append(Unchecked(what, why))


@dataclass(frozen=True)
class AuditLook:
    """`looking.Look` at the audit trail.

    The ring first; where it cannot be relied on or is empty, CloudTrail's own history. Events that
    neither has told yet come with a later look: `Trail.until` says up to when all can be there.
    """

    ring: Ring | None
    """None where there is none by the settings."""
    history: History
    trails: Trails
    worldwide: History | None = None
    """Of us-east-1, where that is not our Region: what is done in IAM is told there only.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
    """

    def __call__(self, asked: Asked, now: datetime) -> Found:
        since, until = asked.span.since - BEFORE, min(asked.span.until, now)
        told = _Told(since)
        is_on = self._trails(told)
        why_not = self._ring(told, until, now, is_on=is_on)
        if why_not or not told.events:
            why = why_not or "nothing is in the log group"
            self._history(told, asked.resources, until, why)
        self._worldwide(told, since, until)
        return _found(told, asked, until, now)

    def _trails(self, told: _Told) -> bool | None:
        """Whether a trail logs what is changed; None where that is not known."""
        try:
            logging = self.trails.logging()
        except AwsError as error:
            told.could_not("whether a trail logs what is changed", error.quoted)
            return None
        if logging.why:
            told.silent.append(f"no trail logs what is changed: {logging.why}")
            told.could_not("what CloudTrail tells at once", logging.why)
            return False
        if logging.since is not None and logging.since > told.since:
            told.silent.append(
                f"the trail {logging.trail} logs only since {logging.since:%Y-%m-%d %H:%M:%S} UTC"
            )
        return True

    def _ring(self, told: _Told, until: datetime, now: datetime, *, is_on: bool | None) -> str:
        """Read the ring; why it cannot be relied on, or "" if it can."""
        if self.ring is None:
            return "no log group of management events is kept"
        what = f"the log group {self.ring.group}"
        try:
            state = self.ring.state()
            why = _unreliable(state, told.since, now, is_on=is_on)
            if state is None:
                told.could_not(what, "it does not exist")
                return why
            # What was told late bears the time at which it was told.
            read = self.ring.read(
                told.since, min(now, until + DELAY), most_pages=MOST_PAGES, most_events=MOST_EVENTS
            )
        except AwsError as error:
            told.could_not(what, error.quoted)
            return "it could not be read"
        told.add(read, "filter_requests")
        told.source.append(f"{what} (what CloudTrail told the event bus)")
        if is_on and why and state.created_at < now - ALIVE:
            told.silent.append(f"{what} has had no event for a day, though a trail logs")
        if read.most and not why:
            told.most.append(read.most)
            told.since = max(told.since, read.since)
        return why

    def _history(
        self, told: _Told, resources: Sequence[Resource], until: datetime, why: str
    ) -> None:
        """Ask CloudTrail: of the alarms' own resources first, then of all that was changed."""
        left, since, read = MOST_LOOKUPS, told.since, None
        names = list(dict.fromkeys(resource_name(one.arn) for one in resources))[:MOST_NAMES]
        questions = [*(("ResourceName", name) for name in names), ("ReadOnly", "false")]
        for attribute, value in questions:
            pages = 1 if attribute == "ResourceName" else left
            try:
                read = self.history.look_up(attribute, value, since, until, most_pages=pages)
            except AwsError as error:
                told.could_not("the event history of CloudTrail", error.quoted)
                told.since = until
                return
            left -= read.requests
            told.add(read, "lookup_requests")
            if read.throttled:
                break
        told.source.append(f"CloudTrail's event history, because {why}")
        if read is not None and read.most:
            told.most.append(read.most)
            everything = attribute == "ReadOnly"
            told.since = max(told.since, read.since) if everything else until

    def _worldwide(self, told: _Told, since: datetime, until: datetime) -> None:
        if self.worldwide is None:
            return
        try:
            read = self.worldwide.look_up(
                "EventSource", "iam.amazonaws.com", since, until, most_pages=MOST_WORLDWIDE
            )
        except AwsError as error:
            told.could_not("what was changed in IAM", error.quoted)
            return
        told.add(read, "lookup_requests")
        if read.throttled:
            told.could_not("what was changed in IAM", read.most)
        elif read.most:
            told.most.append(f"of IAM {read.most}")


def _unreliable(
    state: "RingState | None", since: datetime, now: datetime, *, is_on: bool | None
) -> str:
    """Why the ring may lack what was done since then; "" if it should have it."""
    if state is None:
        return "the log group of management events does not exist"
    if is_on is False:
        return "the event bus is told nothing without a trail that logs"
    if state.created_at > since:
        return f"the log group exists only since {state.created_at:%Y-%m-%d %H:%M} UTC"
    if state.last_at is None or now - state.last_at > ALIVE:
        return "nothing has come into the log group for a day"
    return ""


def _found(told: _Told, asked: Asked, until: datetime, now: datetime) -> Found:
    begin = asked.span.since - BEFORE
    arns = [one.arn for one in asked.resources]
    some = kept(told.events, begin, until, arns)
    since, sure = max(told.since, some.since), min(until, now - DELAY)
    most = list(dict.fromkeys(told.most))
    if some.left_out:
        most.append(f"{some.left_out} older events that name none of the resources are left out")
    if told.source and since >= sure:
        told.could_not("what the audit trail lacks", "; ".join(most) or "CloudTrail tells later")
    trail = Trail(
        events=some.records,
        since=since if told.source else None,
        until=sure if told.source and since < sure else None,
        source=" and ".join(told.source),
        most="; ".join(most),
        silent="; ".join(told.silent),
    )
    return Found(trail=trail, unchecked=tuple(told.unchecked), used=told.used)


def resource_name(arn: str) -> str:
    """What CloudTrail calls a resource in its history: mostly the last part of its ARN, which is
    how requests name it. Load balancers and topics are asked for by their ARN.
    """
    _, _, service, _, _, name = arn.split(":", 5) if arn.count(":") >= 5 else ("",) * 5 + (arn,)  # noqa: PLR2004
    if service in ("elasticloadbalancing", "sns"):
        return arn
    if service == "logs":
        return name.removeprefix("log-group:").removesuffix(":*")
    return name.replace(":", "/").rpartition("/")[2]
