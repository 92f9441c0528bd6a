"""How a drill that restores something goes: restored, examined, taken down, judged.

A check that does not pass, and whatever keeps a check from being asked, becomes the fact `failed`;
the steps up to clean-up then have nothing left to do. So every drill ends with one verdict, and one
page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.aws.errors import Busy, NotThere, OverQuota, Refused
from watchkeeper.backups.manifest import BadManifest, Manifest, digest
from watchkeeper.backups.model import COUNTS, Kind, RecoveryPoint, Service
from watchkeeper.drills import noted
from watchkeeper.drills.clearing import clear, find
from watchkeeper.drills.costs import STANDARD
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.evidence import LONGEST_TEXT
from watchkeeper.drills.judge import ensure_judged
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.restoring import Answers, Left, Pending, Restorer, Restoring, State
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting

LONGEST = timedelta(days=3)
"""So long may a drill have something restored; then whoever finds it may remove it. All the limits
below together are shorter.
"""
DESCRIBE_LAGS = timedelta(minutes=10)
"""After a call whose answer was lost, what it made may not be shown for so long."""
SETTLED = timedelta(minutes=3)
"""Between two looks that must both find nothing: a deletion that is under way is not one of them.
"""
RESTORE_WITHIN = timedelta(hours=36)
"""Two terabytes of a busy database, with room; longer than that nobody waits in an emergency."""
SECURE_WITHIN = timedelta(hours=1)
INITIALISE_WITHIN = timedelta(hours=12)
EXAMINE_WITHIN = timedelta(hours=12)
LATER_THAN_THAT = timedelta(hours=1)
"""The engine's own limit comes after that of the step, which leaves a reason in its words."""
SOON = timedelta(minutes=1)
"""Between looks where short waits follow each other: a password, endpoints, an instance, an answer.
"""

Examine = Callable[[Restorer, Restoring], Report]


# ── Steps ─────────────────────────────────────────────────────────────────────────────────────────


def ensure_restored(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Ask for it once, and wait until its service says that it can be used."""
    if "asked_at" not in run.facts and "failed" not in run.facts:
        # The clock starts before the call: an answer that was lost must not shorten the time.
        facts = {"asked_at": naming.instant(now)}
        return Waiting("the restore to be asked for", until=now, facts=facts)

    def restored(restorer: Restorer, one: Restoring) -> Report:
        if away := _out_of_reach(one):
            return _over(away)
        if "accepted_at" not in run.facts:
            try:
                must_pass = restorer.ask(one)
            except OverQuota as full:
                must_pass = f"room below a limit of the account: {full}"
            if must_pass:
                return Waiting(must_pass)
            facts = {"accepted_at": naming.instant(now)}
            return Waiting("the restore to begin", facts=facts)
        return _stands(run, restorer, one, now)

    return _within(RESTORE_WITHIN, run, cloud, now, restored)


def _out_of_reach(one: Restoring) -> str:
    """Nothing is copied, or brought back from the archive, for a drill yet: it is not proved."""
    place = one.point.place
    if place.tier != STANDARD:
        return f"the recovery point is in the tier {place.tier!r}, which no drill restores from yet"
    if place.region != one.point.resource.split(":")[3]:
        return f"the recovery point is in {place.region}, which no drill restores from yet"
    return ""


def _stands(run: Run, restorer: Restorer, one: Restoring, now: datetime) -> Report:
    try:
        stands = restorer.stands(one)
    except NotThere:
        if now < naming.parse_instant(run.facts["accepted_at"]) + DESCRIBE_LAGS:
            return Waiting("what is being restored to be shown")
        return _over("what was being restored is not there any more: somebody has removed it")
    match stands.state:
        case State.COMING:
            return Waiting(stands.why)
        case State.BROKEN:
            return _over(f"it was not restored: {stands.why}")
        case State.AVAILABLE:
            return Done({"available_at": naming.instant(now)})


def ensure_secured(run: Run, cloud: Drilling, now: datetime) -> Report:
    """What opened the original must not open this."""

    def secured(restorer: Restorer, one: Restoring) -> Report:
        match restorer.secure(one, run.facts, now):
            case Pending(on, facts):
                return Waiting(on, facts=facts)
            case facts:
                return Done(facts)

    return _within(SECURE_WITHIN, run, cloud, now, secured)


def ensure_looked_at(run: Run, cloud: Drilling, now: datetime) -> Report:
    """What its service says of it, compared with what was written down."""

    def looked_at(restorer: Restorer, one: Restoring) -> Report:
        return _found("looked", restorer.checks(one))

    return _within(SECURE_WITHIN, run, cloud, now, looked_at)


def ensure_initialised(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Until all its data has arrived, nobody can say how fast it answers."""
    if _level(run) is Level.RESTORE:
        return Done()

    def initialised(restorer: Restorer, one: Restoring) -> Report:
        stands = restorer.stands(one)
        if stands.state is State.BROKEN:
            return _over(f"it broke before all its data had arrived: {stands.why}")
        if stands.is_initialised:
            return Done({"initialised_at": naming.instant(now)})
        return Waiting("its data to arrive")

    return _within(INITIALISE_WITHIN, run, cloud, now, initialised)


def ensure_examined(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Look into it."""
    if _level(run) is Level.RESTORE:
        return Done({"verified_at": naming.instant(now)} if "failed" not in run.facts else {})

    def examined(restorer: Restorer, one: Restoring) -> Report:
        match restorer.examine(one, run.facts, now):
            case Pending(on, facts):
                return Waiting(on, facts=facts)
            case Answers(checks, newest_data, remember):
                report = _found("examined", checks)
                facts = {"verified_at": naming.instant(now), "remember": noted.pairs(remember)}
                if newest_data:
                    facts["newest_data"] = naming.instant(newest_data)
                return replace(report, facts={**report.facts, **facts})

    return _within(EXAMINE_WITHIN, run, cloud, now, examined)


def ensure_dismantled(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Remove all that was made for it, until nothing is found, twice."""
    if "asked_at" not in run.facts:
        return Done({"torn_down_at": naming.instant(now)})  # nothing was ever asked for
    name = naming.drill_name(cloud.stack, run.id)

    def is_of_this(one: Left) -> bool:
        # What says nothing of its stack has the name alone: a table that was not tagged yet.
        return one.drill == name and one.stack in ("", cloud.stack)

    found = find(cloud.removers(_service(run)), is_of_this)
    noted_down = {*run.facts.get("removed", "").splitlines()}
    there = {one.what for _, one in found.things}
    facts = {"removed": "\n".join(sorted(noted_down | there)), "nothing_since": ""}
    if not there <= noted_down:  # what goes at once can be noted down only before that
        return Waiting(f"{len(there)} things to be removed", until=now, facts=facts)
    cleared = clear(found, lambda one: one.what, now)
    if cleared.refused:
        return Failed(f"what was restored could not be removed: {cleared.refused[0]}", facts)
    if cleared.waits:
        return Waiting(cleared.on, facts=facts)
    since = run.facts.get("nothing_since") or naming.instant(now)
    settled = max(naming.parse_instant(since) + SETTLED, run.entered_at + DESCRIBE_LAGS)
    if now < settled:
        facts = {"nothing_since": since}
        return Waiting("another look that finds nothing", until=settled, facts=facts)
    return Done({"torn_down_at": naming.instant(now)})


# ── What the steps have in common ─────────────────────────────────────────────────────────────────


def _within(limit: timedelta, run: Run, cloud: Drilling, now: datetime, do: Examine) -> Report:
    """What `do` reports, unless the drill has failed before or fails with it."""
    if "failed" in run.facts:
        return Done()
    try:
        one = restoring(run, cloud)
        if one is None:
            return _over("the recovery point has been removed since it was chosen")
        report = do(cloud.restorers[_service(run)], one)
    except (NotThere, Refused, BadManifest) as error:
        return _over(f"it could not be gone on with: {error}")
    except Busy as busy:
        if now <= run.entered_at + limit:
            raise
        report = Waiting(f"{busy.service} to answer again ({busy.code})")
    if isinstance(report, Waiting) and now > run.entered_at + limit:
        hours = limit / timedelta(hours=1)
        return _over(f"after {hours:g} hours it still waited for {report.on}")
    return report


def _over(why: str) -> Done:
    return Done({"failed": why[:LONGEST_TEXT]})


def _found(fact: str, checks: Sequence[Check]) -> Done:
    """The checks; the first that did not pass ends the drill, and so does it if there are none."""
    over = Done()
    if not checks:
        over = _over("nothing was checked")
    elif bad := next((one for one in checks if not one.passed), None):
        over = _over(noted.failure(bad))
    return Done({fact: noted.checks(checks), **over.facts})


def restoring(run: Run, cloud: Drilling) -> Restoring | None:
    """What the run restores; None if the recovery point is not there any more."""
    point = cloud.point(run)
    if point is None or point.state not in COUNTS:
        return None
    asked_at = naming.parse_instant(run.facts["asked_at"])
    policy, resource = cloud.policy(), run.facts["resource"]
    manifest = _manifest(point, cloud)
    return Restoring(
        name=naming.drill_name(cloud.stack, run.id),
        point=point,
        manifest=manifest,
        level=_level(run),
        tags=naming.drill_tags(cloud.stack, run.id, asked_at + LONGEST),
        objective=cloud.objective(run.facts["plan"]),
        questions=policy.questions(resource, _tags(manifest)),
        before=noted.read_pairs(run.facts.get("before", "")),
    )


def _manifest(point: RecoveryPoint, cloud: Drilling) -> Manifest | None:
    """Raises BadManifest if it is not the one that was written down with the recovery point."""
    if not point.manifest:
        return None
    document = cloud.manifests.read(point.id)
    if digest(document) != point.manifest:
        raise BadManifest("the manifest is not the one that was written with the recovery point")
    return Manifest.of(document)


def _tags(manifest: Manifest | None) -> Mapping[str, str]:
    """Those that the resource had when the recovery point was made."""
    settings = manifest.settings if manifest else {}
    found = settings.get("Tags", settings.get("tags"))  # of a database, of a table
    return found if isinstance(found, Mapping) else {}


def _service(run: Run) -> Service:
    kind = Kind.of(run.facts["resource"])
    if kind is None:
        raise ValueError(f"{run.id} is of {run.facts['resource']!r}, which no kind restores")
    return kind.service


def _level(run: Run) -> Level:
    return Level(run.facts["level"])


DISMANTLE = Step("dismantle", ensure_dismantled, within=timedelta(hours=2), always=True)
RESTORE = (
    Step("restore",    ensure_restored,    within=RESTORE_WITHIN + LATER_THAN_THAT),
    Step("secure",     ensure_secured,     within=SECURE_WITHIN + LATER_THAN_THAT, poll=SOON),
    Step("look",       ensure_looked_at,   within=SECURE_WITHIN + LATER_THAN_THAT),
    Step("initialise", ensure_initialised, within=INITIALISE_WITHIN + LATER_THAN_THAT),
    Step("examine",    ensure_examined,    within=EXAMINE_WITHIN + LATER_THAN_THAT, poll=SOON),
    DISMANTLE,
    Step("judge",      ensure_judged,      within=timedelta(hours=1), always=True),
)  # fmt: skip
