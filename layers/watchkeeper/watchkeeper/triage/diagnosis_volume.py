"""Rules about the volume of an RDS instance: its space, its burst credits, its requests. Pure.

Sources of the behaviour:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ebs-io-characteristics.html
"""

import re
from collections.abc import Iterator

from watchkeeper.triage.diagnosis_facts import MOST, Facts, cited, said, writer
from watchkeeper.triage.diagnosis_limits import who
from watchkeeper.triage.evidence import Citation, Claim, Event, LogPattern, Mode, Ruling, Series

FEW_BYTES = 2.0 * 2**30
"""Of free storage: a gigabyte or two is what one file of temporary data takes."""
SOON = 1800.0
"""Seconds until storage is full, at the pace seen: enlarging it takes about as long."""
STOPPED = 0.01
"""Of the writes before: RDS itself still writes a little."""
HANGING = 1.0
"""Seconds per write: no volume that works takes so long."""
FEW_CREDITS = 10.0
"""Per cent of a balance left, below which the throttling is in sight."""
DEEP_QUEUE = 10.0
"""Requests waiting for the volume."""
SLOW_IO = 0.020
"""Seconds per request: ten times what gp2, gp3 and io1 volumes take."""

_STORAGE_OUT = re.compile(
    r"ran out of (?:storage|disk)|out of storage|storage.?full|no space left on device"
    r"|insufficient storage|storage (?:space )?is critically low|consumed all (?:its )?storage",
    re.IGNORECASE,
)
_GROWN = re.compile(
    r"storage.{0,40}(?:increased|modif|autoscal|scaled|expanded|optimi[sz]ation)"
    r"|(?:autoscal|applying modification|finished applying).{0,60}storage",
    re.IGNORECASE,
)


def storage(facts: Facts) -> Ruling:
    """The volume is full, so nothing can be written."""
    free = facts.metric("FreeStorageSpace")
    told = said(facts, _STORAGE_OUT)
    missing = () if free else ("FreeStorageSpace",)
    short = free is not None and (free.lowest < FEW_BYTES or _seconds_left(free) < SOON)
    stopped = free is None and _stopped(facts)
    if not told and not short and not stopped:
        why = f"FreeStorageSpace is {free.shown(free.lowest)} at least" if free else ""
        return Ruling(Mode.STORAGE_FULL, why_not=why, missing=missing)
    grown = said(facts, _GROWN, over=True)
    over = _has_room(free, facts, bool(grown))
    claims = list(_space(free, told))
    claims += _stalled(facts)
    if over:
        claims.append(Claim("storage has room again", (*cited(grown), *_cite(free))))
    return Ruling(
        Mode.STORAGE_FULL,
        found=True,
        headline=_how_full(free, proved=bool(told)),
        claims=tuple(claims),
        since=told[0].at if told else free.fall() if free else None,
        over=over,
        missing=missing,
    )


def _space(free: Series | None, told: list[Event | LogPattern]) -> Iterator[Claim]:
    """What is said and measured of the space itself."""
    if told:
        yield Claim("RDS or the engine says that storage space ran out", cited(told))
    if free:
        yield Claim(
            f"free storage space went from {free.shown(free.points[0][1])} to"
            f" {free.shown(free.lowest)}",
            (free.cited(free.fall()),),
        )


def _how_full(free: Series | None, *, proved: bool) -> str:
    if free and not proved and free.lowest >= FEW_BYTES:
        return "storage space runs out: at the pace of this window it is full within half an hour"
    if free or proved:
        return "storage full: the instance ran out of storage space, and writes are blocked"
    return (
        "storage full, most likely: writes are blocked, and FreeStorageSpace, which would prove it,"
        " is missing"
    )


def _stopped(facts: Facts) -> bool:
    """Whether writes that were usual have come to an end while those that wait hang: so it looks
    where no space is left, and not where nobody writes.
    """
    writes, latency = facts.metric("WriteIOPS"), facts.metric("WriteLatency")
    if writes is None or latency is None or writes.before < 1:
        return False
    return writes.now < STOPPED * writes.before and latency.now > HANGING


def _cite(series: Series | None) -> tuple[Citation, ...]:
    return (series.cited(series.points[-1][0]),) if series else ()


def _has_room(free: Series | None, facts: Facts, grown: bool) -> bool:  # noqa: FBT001
    """Free space is measured again well above the lowest (or, unmeasured, the volume was enlarged),
    and writes are not at a stop.
    """
    room = free.now >= 2 * max(free.lowest, FEW_BYTES) if free else grown
    writes_ = facts.metric("WriteIOPS")
    return room and (writes_ is None or writes_.now > 0.1 * writes_.highest)


def _seconds_left(free: Series) -> float:
    """Until it is full at the pace of this window; endless if it does not shrink."""
    (begin, first), (end, last) = free.points[0], free.points[-1]
    lost = first - last
    return last / lost * (end - begin).total_seconds() if lost > 0 else float("inf")


def _stalled(facts: Facts) -> Iterator[Claim]:
    """Writes stop, and those that wait get slow."""
    writes, latency = facts.metric("WriteIOPS"), facts.metric("WriteLatency")
    if writes and writes.lowest < 0.1 * writes.before:
        yield Claim(
            f"WriteIOPS fell from {writes.shown(writes.before)} to {writes.shown(writes.lowest)}:"
            " writes are blocked, not few",
            (writes.cited(writes.fall()),),
        )
    if latency and latency.surged:
        yield Claim(
            f"WriteLatency rose to {latency.shown(latency.highest)}",
            (latency.cited(latency.rise()),),
        )
    by = writer(facts)
    if by:
        yield Claim(f"the statement that writes most is {by.shown()}", (by.cited(),))
    top = facts.top()
    if top and facts.share("Lock:", "IO:") > MOST:
        yield Claim(f"statements wait ({facts.top_waits()}), first {top.shown()}", (top.cited(),))


def credits_(facts: Facts) -> Ruling:
    """A balance of burst credits is used up, and what it paid for is throttled to its base."""
    names = ("BurstBalance", "EBSIOBalance%", "EBSByteBalance%", "CPUCreditBalance")
    balances = [one for one in map(facts.metric, names) if one]
    empty = [one for one in balances if one.held_low < FEW_CREDITS]
    if not empty:
        left = ", ".join(f"{one.name} {one.shown(one.lowest)}" for one in balances)
        why = f"left: {left}" if left else ""
        # An instance without burst credits has no such metrics: their absence says nothing.
        return Ruling(Mode.CREDITS, why_not=why)
    claims = [
        Claim(
            f"{one.name} fell from {one.shown(one.points[0][1])} to {one.shown(one.lowest)}: what"
            " it pays for is throttled to its base",
            (one.cited(one.fall()),),
        )
        for one in empty
    ]
    what = "CPU" if empty[0].name.startswith("CPU") else "IOPS or throughput of the volume"
    return Ruling(
        Mode.CREDITS,
        found=True,
        headline=f"burst credits exhausted: {what} throttled to the base ({empty[0].name})",
        claims=tuple(claims),
        since=min(one.fall() for one in empty),
        over=all(one.now > 2 * FEW_CREDITS for one in empty),
    )


def io(facts: Facts) -> Ruling:
    """The volume has more to do than it can: requests queue, and each takes long."""
    queue = facts.metric("DiskQueueDepth")
    slow = [one for one in map(facts.metric, ("ReadLatency", "WriteLatency")) if one]
    if queue is None:
        return Ruling(Mode.IO, missing=("DiskQueueDepth",))
    late = [one for one in slow if one.held > SLOW_IO and one.surged]
    if queue.held < DEEP_QUEUE or (slow and not late):
        return Ruling(Mode.IO, why_not=f"DiskQueueDepth is {queue.shown(queue.highest)} at most")
    claims = [
        Claim(
            f"DiskQueueDepth rose from {queue.shown(queue.before)} to {queue.shown(queue.highest)}",
            (queue.cited(queue.rise()),),
        ),
        *(
            Claim(f"{one.name} rose to {one.shown(one.highest)}", (one.cited(one.rise()),))
            for one in late
        ),
        *who(facts),
    ]
    return Ruling(
        Mode.IO,
        found=True,
        headline="I/O saturation: requests queue for the volume (IOPS or throughput at its limit)",
        claims=tuple(claims),
        since=queue.rise(),
        over=queue.now < DEEP_QUEUE / 2,
        by=facts.top() if facts.share("IO:") > MOST else None,
    )
