"""How a recovery goes: a recovery point is chosen, restored beside its original, given the settings
back, and reported. There is no clean-up: what was made is the person's who asked for it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.backups.manifest import BadManifest
from watchkeeper.backups.model import Kind, RecoveryPoint
from watchkeeper.drills.restoring import State
from watchkeeper.news.base import cut
from watchkeeper.news.recovery import ResourceRecovered
from watchkeeper.recovery.choice import NoRecovery, chosen
from watchkeeper.recovery.model import (
    Difference,
    Handover,
    Recoverer,
    Recovering,
    noted,
    read_differences,
)
from watchkeeper.recovery.recovering import MANIFEST, ORIGINAL, UNKNOWN, Recoverers
from watchkeeper.recovery.report import Recovery, differing, numbered, span
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Told, Waiting

DESCRIBE_LAGS = timedelta(minutes=10)
"""After a call whose answer was lost, what it made may not be shown for so long."""
RESTORE_WITHIN = timedelta(hours=48)
"""Two terabytes of a busy database, with room; longer than that nobody waits in an emergency."""
SETTLE_WITHIN = timedelta(hours=6)
"""Turning an instance of two terabytes into a pair of zones is the longest of them."""
SHOWN_WITHIN = timedelta(minutes=30)
"""So long after the last change a setting may not be shown; then it counts as it is shown."""
LATER_THAN_THAT = timedelta(hours=1)
"""The engine's own limit comes after that of the step, which says what is left."""
SOON = timedelta(minutes=1)
"""Changes of settings take a minute or two; somebody is waiting for them."""

WHY, LEFT = 400, 550
"""Characters that a page has for why it failed, and for what is left: half a command is worse than
none.
"""

Act = Callable[[Recoverer, Recovering], Report]


def ensure_chosen(run: Run, cloud: Recoverers, now: datetime) -> Report:
    """Freeze from which recovery point, under which name, and with which settings."""
    resource = run.facts["resource"]
    kind = Kind.of(resource)
    try:
        point = chosen(
            resource, run.facts["wanted"], cloud.catalogue.of(resource), cloud.others.of(resource)
        )
    except NoRecovery as no:
        return Failed(f"{resource} was not recovered: {no}")
    if kind is None:
        raise ValueError(f"{run.id} is of {resource!r}, which no kind recovers")
    recoverer = cloud.recoverers[kind.service]
    try:
        known_from, settings = _settings(recoverer, cloud, point, run.facts["zone"])
    except Refused as error:
        return Failed(f"{resource} was not recovered: {error}")
    return Done({
        "point": point.id,
        "name": naming.recovered_name(_original(resource, kind), run.id, recoverer.longest_name),
        "known_from": known_from,
        "settings": settings,
        "chosen_at": naming.instant(now),
    })  # fmt: skip


def _settings(
    recoverer: Recoverer, cloud: Recoverers, point: RecoveryPoint, zone: str
) -> tuple[str, str]:
    """Where they are known from, and what is to be frozen of them: a manifest never changes. One
    that cannot be used is no reason to leave somebody without data.
    """
    unused = ""
    if point.manifest:
        try:
            cloud.manifest(point)
        except (NotThere, BadManifest) as error:
            unused = f" ({MANIFEST} cannot be used: {error})"
        else:
            return MANIFEST, ""
    try:
        return f"{ORIGINAL}{unused}", json.dumps(recoverer.original(point, zone))
    except NotThere:
        return f"{UNKNOWN}{unused}", "{}"


def _original(resource: str, kind: Kind) -> str:
    if kind in (Kind.DATABASE, Kind.CLUSTER):
        return naming.rds_name(resource)
    return naming.table_name(resource) if kind is Kind.TABLE else naming.ec2_id(resource)


def ensure_restored(run: Run, cloud: Recoverers, now: datetime) -> Report:
    """Ask until all of it was accepted, and wait until its service says that it can be used."""
    if "asked_at" not in run.facts:
        # The clock starts before the call: an answer that was lost must not shorten the time.
        facts = {"asked_at": naming.instant(now)}
        return Waiting("the restore to be asked for", until=now, facts=facts)

    def restored(recoverer: Recoverer, one: Recovering) -> Report:
        if "accepted_at" not in run.facts:
            if must_pass := recoverer.ask(one):
                return Waiting(must_pass)
            facts = {"accepted_at": naming.instant(now)}
            return Waiting("the restore to begin", until=now + SOON, facts=facts)
        return _stands(run, recoverer, one, now)

    return _within(RESTORE_WITHIN, run, cloud, now, restored)


def _stands(run: Run, recoverer: Recoverer, one: Recovering, now: datetime) -> Report:
    try:
        stands = recoverer.stands(one)
    except NotThere:
        if now < naming.parse_instant(run.facts["accepted_at"]) + DESCRIBE_LAGS:
            return Waiting("what is being restored to be shown", until=now + SOON)
        raise
    match stands.state:
        case State.COMING:
            return Waiting(stands.why)
        case State.BROKEN:
            return Failed(stands.why)
        case State.AVAILABLE:
            return Done({"available_at": naming.instant(now)})


def ensure_settled(run: Run, cloud: Recoverers, now: datetime) -> Report:
    """Put back one setting after the other, and read all of them back. One that AWS refuses keeps
    nobody from what was restored: it is listed.
    """

    def settled(recoverer: Recoverer, one: Recovering) -> Report:
        stands = recoverer.stands(one)
        if stands.state is State.COMING:
            return Waiting(stands.why, until=now + SOON)
        found = recoverer.found(one)
        tried = run.facts.get("tried", "").splitlines()
        refused = json.loads(run.facts.get("refused", "{}"))
        change = next((c for c in recoverer.changes(one, found) if c.name not in tried), None)
        if change is None:
            return _read_back(run, recoverer.differences(one, found), refused, now)
        facts = {"tried": "\n".join([*tried, change.name]), "tried_at": naming.instant(now)}
        try:
            if must_pass := recoverer.change(one, change):
                return Waiting(must_pass, until=now + SOON)
        except (Refused, NotThere) as error:
            facts["refused"] = json.dumps({**refused, change.name: str(error)})
        return Waiting(f"{change.name} to be put back", until=now, facts=facts)

    return _within(SETTLE_WITHIN, run, cloud, now, settled)


def _read_back(
    run: Run, differences: Sequence[Difference], refused: dict[str, str], now: datetime
) -> Report:
    tried = run.facts.get("tried", "").splitlines()
    unshown = [one.name for one in differences if one.name in tried and one.name not in refused]
    if unshown and now < naming.parse_instant(run.facts["tried_at"]) + SHOWN_WITHIN:
        return Waiting(f"{', '.join(unshown)} to be shown as put back", until=now + SOON)
    differ = {one.name for one in differences}
    explained = [replace(one, why=refused.get(one.name, one.why)) for one in differences]
    unnamed = [
        Difference(name, "as the original's", "not put back", why)
        for name, why in refused.items()
        if name not in differ
    ]
    return Done({
        "differences": noted([*explained, *unnamed]),
        "put_back": "\n".join(one for one in tried if one not in differ and one not in refused),
        "settled_at": naming.instant(now),
    })  # fmt: skip


def ensure_reported(run: Run, cloud: Recoverers, now: datetime) -> Report:
    """Write down how it went, and tell whoever asked what is left to do."""

    def reported(recoverer: Recoverer, one: Recovering) -> Report:
        recovery = _recovery(run, one, recoverer.handover(one))
        cloud.recoveries.write(one.name, recovery.to_json())
        return Done(news=[_told(run, recovery, now)])

    return _within(SETTLE_WITHIN, run, cloud, now, reported)


def _recovery(run: Run, one: Recovering, handover: Handover) -> Recovery:
    asked, available, settled = (
        naming.parse_instant(run.facts[name]) for name in ("asked_at", "available_at", "settled_at")
    )
    return Recovery(
        run=run.id,
        name=one.name,
        point=one.point,
        asked_at=asked,
        available_at=available,
        ended_at=settled,
        known_from=run.facts["known_from"],
        put_back=run.facts["put_back"].splitlines(),
        differences=read_differences(run.facts["differences"]),
        handover=handover,
    )


def _told(run: Run, recovery: Recovery, now: datetime) -> Told:
    handover = recovery.handover
    return ResourceRecovered.about(
        run,
        at=now,
        resource=recovery.point.resource,
        name=recovery.name,
        point=recovery.point.id,
        point_created_at=f"{recovery.point.created_at:%Y-%m-%d %H:%M} UTC",
        data_age=span(recovery.data_age),
        took=span(recovery.took),
        known_from=recovery.known_from,
        made=list(handover.made),
        put_back=list(recovery.put_back),
        differs=differing(recovery.differences),
        by_hand=numbered(handover.by_hand),
        removal=list(handover.removal),
        data_age_seconds=recovery.data_age.total_seconds(),
        recovery_seconds=recovery.took.total_seconds(),
    )


# ── What the steps have in common ─────────────────────────────────────────────────────────────────


def _within(limit: timedelta, run: Run, cloud: Recoverers, now: datetime, act: Act) -> Report:
    """What `act` reports; of a failure, also what it leaves behind."""
    kind = Kind.of(run.facts["resource"])
    if kind is None:
        raise ValueError(f"{run.id} is of {run.facts['resource']!r}, which no kind recovers")
    recoverer = cloud.recoverers[kind.service]
    try:
        one = cloud.one(run)
    except (NotThere, BadManifest) as error:
        return Failed(f"it could not be gone on with: {error}")
    try:
        report = act(recoverer, one)
    except (NotThere, Refused) as error:
        report = Failed(f"it could not be gone on with: {error}")
    if isinstance(report, Waiting) and now > run.entered_at + limit:
        report = Failed(
            f"after {limit / timedelta(hours=1):g} hours it still waited for {report.on}"
        )
    if isinstance(report, Failed):
        return replace(report, why=f"{cut(report.why.rstrip('.'), WHY)}. {_left(recoverer, one)}")
    return report


def _left(recoverer: Recoverer, one: Recovering) -> str:
    try:
        handover = recoverer.handover(one)
    except (NotThere, Refused) as error:
        return f"What there is of {one.name} could not be asked: {error}"
    if not handover.made:
        return "Nothing is there of it"
    made, removal = ", ".join(handover.made), "; ".join(handover.removal)
    left = f"Left as it is: {made}. To remove it: {removal}"
    if len(left) <= LEFT:
        return left
    return f"Left as it is: all that is tagged {naming.TAG_RECOVERED} = {one.name}"


RECOVERY = (
    Step("choose",   ensure_chosen,   within=timedelta(hours=1)),
    Step("restore",  ensure_restored, within=RESTORE_WITHIN + LATER_THAN_THAT),
    Step("settings", ensure_settled,  within=SETTLE_WITHIN + LATER_THAN_THAT),
    Step("report",   ensure_reported, within=SETTLE_WITHIN + LATER_THAN_THAT),
)  # fmt: skip


def workflow(_run: Run) -> Sequence[Step]:
    return RECOVERY
