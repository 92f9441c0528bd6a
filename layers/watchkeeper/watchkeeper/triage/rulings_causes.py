"""Rules about who or what began it: by the audit trail, by suspects, and by what logs say. Pure."""

import re
from collections.abc import Sequence
from datetime import timedelta

from watchkeeper.quoting import quoted
from watchkeeper.triage.changes import Actor, Change, Kind, Named, names_in
from watchkeeper.triage.phrases import clean, counted, lasting, short
from watchkeeper.triage.report import Claim, Source
from watchkeeper.triage.rulings import Category, Facts, Ruling, claims_of
from watchkeeper.triage.trail import LONG_AGO, Record
from watchkeeper.triage.trail_claims import by_whom, just_before

STOPS = frozenset({
    "StopInstances", "TerminateInstances", "RebootInstances", "StopDBInstance", "StopDBCluster",
    "DeleteDBInstance", "DeleteDBCluster", "RebootDBInstance", "DeleteFunction", "DeleteQueue",
    "DeleteTable", "DeleteTopic", "DeleteService", "DeleteLoadBalancer", "DeleteTargetGroup",
    "DeleteBucket", "DeleteStream", "DisableRule", "DeleteRule", "StopTask", "DeleteCacheCluster",
    "DisableKey", "ScheduleKeyDeletion", "TerminateInstanceInAutoScalingGroup", "DetachInstances",
})  # fmt: skip
"""Operations after which a resource does nothing more, or for a while."""
_VERSION = re.compile(r"[0-9]{8}(?:v[0-9])?$")
"""How CloudTrail ends the names of Lambda's and CloudFront's operations."""
MAY_CAUSE = frozenset(Kind) - {Kind.OTHER}
"""Kinds of changes after which things break."""
BY_ITSELF = frozenset({Actor.AWS, Actor.OURS})
"""Autoscaling and repairs follow a fault more often than they bring it: named after people's."""

REPORTS = {
    "a certificate that is not accepted": r"certificate (?:has )?expired|CERT_HAS_EXPIRED|x509: "
    r"|PKIX path|certificate verify failed|SSLHandshake|certificate is not (?:yet )?valid"
    r"|self[- ]signed certificate",
    "a name that is not resolved": r"getaddrinfo|UnknownHost|ENOTFOUND|EAI_AGAIN|no such host"
    r"|Name or service not known|failure in name resolution|NXDOMAIN|SERVFAIL",
    "a permission that is missing": r"AccessDenied|not authorized to perform|permission denied"
    r"|UnauthorizedOperation",
    "a full disk": r"no space left on device|ENOSPC|disk (?:is )?full",
    "memory that ran out": r"out ?of ?memory|heap space|cannot allocate memory|signal: killed"
    r"|OOMKilled",
    "something that cannot be reached": r"ECONNREFUSED|connection refused|ETIMEDOUT"
    r"|connect(?:ion)? timed ?out|no route to host|ECONNRESET|connection reset",
}
"""What new errors may say, the most particular first."""
_REPORTS = {words: re.compile(said, re.IGNORECASE) for words, said in REPORTS.items()}
_DENIED = _REPORTS["a permission that is missing"]


def operation(change: Change) -> str:
    """`UpdateFunctionCode`, escaped."""
    name = change.action.rpartition(" ")[2]
    return quoted(_VERSION.sub("", name), 60).strip('"')


def stopped(facts: Facts) -> Ruling:
    """Somebody stopped or removed what the alarm is about."""
    stops = [
        one
        for one in facts.trail.changes
        if operation(one) in STOPS and not one.via and one.resource in facts.hit
        and just_before(one, facts.onset)
    ]  # fmt: skip
    if not stops:
        return _by_trail(Category.STOPPED, facts, "nobody stopped or removed it")
    one = stops[0]
    headline = f"{operation(one)} of {quoted(short(one.resource))} by {by_whom(one)}"
    return Ruling(Category.STOPPED, headline, _claims(facts, [one]))


def change(facts: Facts) -> Ruling:
    """Something was changed just before, and then errors or metrics are new."""
    some = [
        one for one in facts.trail.changes
        if one.kind in MAY_CAUSE and just_before(one, facts.onset)
    ]  # fmt: skip
    if not some:
        return _by_trail(Category.CHANGE, facts, "nothing was changed in the half hour before")
    if not facts.metrics.moved and not any(one.is_new for one in facts.logs.news):
        return Ruling(
            Category.CHANGE,
            why_not=f"a change: {counted(len(some), 'change')} just before, but no error is new and"
            " no metric has moved since",
        )
    some.sort(key=lambda one: one.actor in BY_ITSELF)  # else in the order that it was told
    one = some[0]
    where = f" on {quoted(one.via, 60)} beside it" if one.via else ""
    headline = f"{_began(one, facts)} {operation(one)}{where} by {by_whom(one)}"
    support = (*facts.metrics.moved[:1], *claims_of([n for n in facts.logs.news if n.is_new]))
    return Ruling(Category.CHANGE, headline, (*_claims(facts, some[:3]), *support))


def _began(one: Change, facts: Facts) -> str:
    by = facts.onset - one.at
    if by < timedelta(minutes=1):
        return "it began in the minutes of"
    return f"it began {lasting(by)} after"


def permission(facts: Facts) -> Ruling:
    """Calls are newly denied: to or by what the alarm is about, or after a change of IAM's."""
    since = facts.gathered.span.since
    access = [
        one for one in facts.trail.changes
        if one.kind is Kind.ACCESS and just_before(one, facts.onset)
    ]  # fmt: skip
    before = {(one.who, one.action) for one in facts.trail.denied if one.at < since}
    now = [
        one for one in facts.trail.denied
        if one.at >= since and (one.who, one.action) not in before
        and (access or _is_ours(one, facts))
    ]  # fmt: skip
    said = facts.errors(_DENIED) if access else []
    if not now and not said:
        return _by_trail(Category.PERMISSION, facts, "no call is newly denied")
    what = f"{len(now)} calls are newly denied" if now else "the logs say that calls are denied"
    after = f", after {operation(access[0])} by {by_whom(access[0])}" if access else ""
    denied = tuple(_denied_claim(one) for one in now[:3])
    return Ruling(
        Category.PERMISSION, what + after, (*_claims(facts, access[:2]), *denied, *claims_of(said))
    )


def _is_ours(one: Record, facts: Facts) -> bool:
    """Whether a denied call is to or by one of the incident's resources."""
    names = frozenset(names_in(one.event))
    return one.who in facts.hit or any(Named.of(arn).is_in(one, names) for arn in facts.hit)


def _denied_claim(one: Record) -> Claim:
    return Claim(
        Source.TRAIL,
        clean(f"{quoted(one.who or 'somebody')} was denied {quoted(one.action)}"),
        at=None if one.at == LONG_AGO else one.at,
        resource=clean(one.who),
        key=clean(one.id),
    )


def _by_trail(category: Category, facts: Facts, why_not: str) -> Ruling:
    """None, if the trail could tell: what it has not told yet rules nothing out."""
    until, needed = facts.gathered.trail.until, facts.onset
    if until is None or until < needed:
        return Ruling(category, lacked="")  # `from_trail` has said that it is late
    words = {Category.STOPPED: "stopped", Category.CHANGE: "a change"}.get(category, str(category))
    return Ruling(category, why_not=f"{words}: {why_not}")


def _claims(facts: Facts, changes: Sequence[Change]) -> tuple[Claim, ...]:
    by_key = {one.key: one for one in facts.trail.changed}
    return tuple(by_key[clean(one.event_id)] for one in changes if clean(one.event_id) in by_key)


def downstream(facts: Facts) -> Ruling:
    """What the alarm is about suffers from something else."""
    suspects = facts.metrics.suspects
    if not suspects:
        return Ruling(Category.DOWNSTREAM, lacked="")
    first = suspects[0]
    if first in facts.hit or not any(one.measured.of_alarm for one in facts.metrics.movers):
        why = f"another resource: {quoted(short(first))} itself is the first suspect"
        return Ruling(Category.DOWNSTREAM, why_not=why)
    own = [one for one in facts.metrics.moved if one.resource == first]
    return Ruling(
        Category.DOWNSTREAM,
        f"the metrics point to {quoted(short(first))} behind it",
        tuple(own[:3]),
    )


def reported(facts: Facts) -> Ruling:
    """What new errors say by themselves: told as theirs, as anybody may have written them."""
    for words, pattern in _REPORTS.items():
        said = [one for one in facts.errors(pattern) if one.is_new]
        if said:
            return Ruling(Category.REPORTED, f"the logs speak of {words}", claims_of(said))
    return Ruling(
        Category.REPORTED,
        why_not="logs: no new error is of a kind that names its cause" if facts.logs.news else "",
    )
