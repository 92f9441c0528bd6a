"""Rules about what a resource can run out of, by its metrics. Pure.

Each is a row: which metrics say it, from where on, and what AWS says a limit looks like there.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from watchkeeper.triage.charts import Series
from watchkeeper.triage.evidence import figure
from watchkeeper.triage.report import Claim
from watchkeeper.triage.rulings import Category, Facts, Ruling, cited, claims_of, named

FULL = 95.0
"""Per cent from which memory, a disk or a CPU has no room left for what comes next."""
MORE = 3.0
"""Times what was usual: twice is another hour of the day."""
WHOLE = 20.0
"""Milliseconds by which a duration may miss whole seconds and still be a timeout, which is set in
whole seconds.
"""
SECOND = 1_000.0
EMPTY = 1.0
"""Per cent, or credits, below which a balance is used up."""
HAD = 5.0
"""And above which there was something to use up."""

Test = Callable[[Facts, Series], bool]


@dataclass(frozen=True, slots=True)
class Limit:
    category: Category
    words: str
    """The fault in words."""
    names: tuple[str, ...]
    is_reached: Test
    said: str
    """The headline: `{who}`, `{now}`, `{metric}`."""
    services: frozenset[str] = frozenset()
    """Of whose resources somebody would ask; of others, missing metrics are no news."""
    lacks: str = ""
    """What reports the metrics, where AWS does not by itself."""
    logs: re.Pattern[str] | None = None
    """What new errors say that supports it."""


def is_full(facts: Facts, one: Series) -> bool:
    """At the limit, and not as every day."""
    latest, usual = facts.latest(one), facts.usual(one)
    return latest >= FULL and (usual is None or usual < FULL or bool(one.odd))


def is_empty(facts: Facts, one: Series) -> bool:
    usual = facts.usual(one)
    had = max(one.before(facts.gathered.span.since), default=0.0)
    return facts.latest(one) <= EMPTY and usual is not None and had > HAD


def has_begun(facts: Facts, one: Series) -> bool:
    """Something that should not happen does, and more than usual."""
    some = [value for value in facts.now(one) if value > 0]
    usual = facts.usual(one) or 0.0
    return bool(some) and max(some) > MORE * max(usual, 0.0)


def has_failed(facts: Facts, one: Series) -> bool:
    """A check: 1 is failed."""
    return facts.latest(one) >= 1 and not (facts.usual(one) or 0.0) >= 1


def has_none(facts: Facts, one: Series) -> bool:
    """Something of which there is always some."""
    return facts.latest(one) <= 0 < (facts.usual(one) or 0.0)


def is_cut_off(facts: Facts, one: Series) -> bool:
    """Calls that end after a number of whole seconds, all alike: these are cut off."""
    usual = facts.usual(one)
    late = [value for value in facts.now(one) if value >= SECOND]
    alike = [value for value in late if abs(value - round(value / SECOND) * SECOND) <= WHOLE]
    return len(alike) > 1 and len(alike) == len(late) and (usual or 0.0) < min(alike) - WHOLE


def has_aged(facts: Facts, one: Series) -> bool:
    """Older and older."""
    now, usual = facts.now(one), facts.usual(one) or 0.0
    return len(now) > 1 and now[-1] > now[0] and now[-1] > MORE * max(usual, 1.0)


def is_unlike(facts: Facts, one: Series) -> bool:
    """Beyond twice what it ever was in the days before."""
    return bool(one.odd) and one.extreme > one.high > 0 and one.extreme > 2 * one.high


LIMITS: tuple[Limit, ...] = (
    Limit(
        Category.DISK_FULL, "a full disk", ("disk_used_percent", "DiskSpaceUtilization"),
        is_full, "a disk of {who} is full: {now}", frozenset({"ec2"}),
        "the CloudWatch agent reports them",
        re.compile(r"[Nn]o space left on device|disk (?:is )?full|ENOSPC"),
    ),
    Limit(
        Category.STATUS_CHECK, "a failed status check",
        ("StatusCheckFailed", "StatusCheckFailed_System", "StatusCheckFailed_Instance",
         "StatusCheckFailed_AttachedEBS"),
        has_failed, "{metric} of {who}: EC2 cannot reach it", frozenset({"ec2"}),
    ),
    Limit(
        Category.CREDITS, "exhausted burst credits",
        ("CPUCreditBalance", "BurstBalance", "EBSIOBalance%", "EBSByteBalance%",
         "BurstCreditBalance"),
        is_empty, "{metric} of {who} is used up: {now}", frozenset(),
    ),
    Limit(
        Category.CONCURRENCY, "throttled calls of a function", ("Throttles",),
        has_begun, "calls of {who} are throttled, at its concurrency limit or the account's",
        frozenset({"lambda"}),
    ),
    Limit(
        Category.TIMEOUT, "a function's timeout", ("Duration",),
        is_cut_off, "calls of {who} take {now} and are cut off: that is its timeout",
        frozenset({"lambda"}), logs=re.compile(r"Task timed out after"),
    ),
    Limit(
        Category.MEMORY, "memory",
        ("mem_used_percent", "MemoryUtilization", "DatabaseMemoryUsagePercentage"),
        is_full, "the memory of {who} is full: {now}", frozenset({"ec2", "ecs"}),
        "the CloudWatch agent reports them",
        re.compile(r"[Oo]ut ?[Oo]f ?[Mm]emory|heap space|Cannot allocate memory|signal: killed"),
    ),
    Limit(
        Category.THROUGHPUT, "throttled reads or writes",
        ("ReadThrottleEvents", "WriteThrottleEvents", "ThrottledRequests",
         "WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"),
        has_begun, "{who} throttles: {metric} {now}", frozenset(),
        logs=re.compile(r"ProvisionedThroughputExceeded|ThrottlingException"),
    ),
    Limit(
        Category.PORTS, "a NAT gateway's ports", ("ErrorPortAllocation",),
        has_begun, "{who} has no source ports left", frozenset(),
    ),
    Limit(
        Category.TARGETS, "no healthy targets", ("HealthyHostCount",),
        has_none, "{who} has no healthy target", frozenset({"elasticloadbalancing"}),
    ),
    Limit(
        Category.TARGETS, "unhealthy targets", ("UnHealthyHostCount",),
        has_failed, "{who} has {now} unhealthy targets", frozenset({"elasticloadbalancing"}),
    ),
    Limit(
        Category.CPU, "a saturated CPU", ("CPUUtilization", "EngineCPUUtilization"),
        is_full, "the CPU of {who} is saturated: {now}", frozenset({"ec2", "ecs"}),
    ),
    Limit(
        Category.BEHIND, "consumers that are behind",
        ("ApproximateAgeOfOldestMessage", "GetRecords.IteratorAgeMilliseconds", "IteratorAge"),
        has_aged, "what waits in {who} grows older: {metric} {now}", frozenset({"sqs", "kinesis"}),
    ),
)  # fmt: skip
LOAD = Limit(
    Category.LOAD, "more load",
    ("RequestCount", "Invocations", "NumberOfMessagesSent", "Count", "NewFlowCount",
     "IncomingRecords", "AllRequests"),
    is_unlike, "{who} has more to do than ever in the days before: {metric} {now}", frozenset(),
)  # fmt: skip
"""Asked last: more calls may be the cause, or the retries of those who fail."""

FAILING = ("Errors", "NumberOfMessagesDeleted", "DeadLetterErrors")


def ruled(limit: Limit, facts: Facts) -> Ruling:
    """What the metrics of one limit say."""
    some = facts.measured(limit.names)
    if not some:
        asked = facts.services() & limit.services
        by = f" ({limit.lacks})" if limit.lacks else ""
        names = " and ".join(limit.names[:2])
        lacked = f"for {limit.words} because no {names} was measured{by}" if asked else ""
        return Ruling(limit.category, lacked=lacked)
    reached = [one for one in some if limit.is_reached(facts, one)]
    if not reached:
        values = ", ".join(f"{one.measured.name[:80]} of {named(one)} is {_now(facts, one)}"
                           for one in some[:3])  # fmt: skip
        return Ruling(limit.category, why_not=f"{limit.words}: {values}")
    first = reached[0]
    headline = limit.said.format(
        who=named(first), now=_now(facts, first), metric=first.measured.name[:80]
    )
    claims = (*(_cited(facts, one) for one in reached[:3]), *_support(limit, facts))
    return Ruling(limit.category, headline, claims)


def _support(limit: Limit, facts: Facts) -> Iterator[Claim]:
    if limit.logs:
        yield from claims_of(facts.errors(limit.logs))
    if limit.category is Category.BEHIND:
        # Why: those who should take the messages fail, or take fewer.
        consumers = (one for one in facts.metrics.movers if one.measured.name in FAILING)
        yield from (_cited(facts, one) for one in list(consumers)[:2])


def _cited(facts: Facts, one: Series) -> Claim:
    usual = facts.usual(one)
    before = "" if usual is None else f"; usually {figure(one.measured.name[:80], usual)}"
    return cited(one, f"{one.title} of {named(one)} is {_now(facts, one)}{before}")


def _now(facts: Facts, one: Series) -> str:
    """The latest value; of what only sometimes happens, the most."""
    name = one.measured.name[:80]
    value = max(facts.now(one)) if one.measured.stat == "Sum" else facts.latest(one)
    return f"{value / SECOND:.3g} s" if name == "Duration" else figure(name, value)
