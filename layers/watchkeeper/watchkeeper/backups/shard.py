"""How a shard of a night takes its recovery points, and reads them back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.aws.errors import Busy, NotThere, Refused, Unclear
from watchkeeper.backups.keys import KeyState
from watchkeeper.backups.keys import unusable as unusable_key
from watchkeeper.backups.model import APPLICATION, RecoveryPoint, State, Target
from watchkeeper.backups.rules import Found, given_up, unusable
from watchkeeper.backups.services import BySource
from watchkeeper.backups.taking import Taking
from watchkeeper.news.backups import RecoveryPointsCompleted
from watchkeeper.news.base import LINE, LINES
from watchkeeper.runs.record import Done, Report, Run, Waiting

SLICE = 100
"""Snapshots asked for between two savings of progress: at EC2's five a second that is 20 s, and
even at two seconds each a slice begun at the last permitted moment ends in time for most of what it
asked to be known.
"""
SLICE_TAKES = timedelta(minutes=4)
"""The longest that a slice takes: a call without an answer was made up to so long after `now`."""
LOOK_FOR = timedelta(minutes=10)
"""How long the traces of a call without an answer are looked for: Describe lags by seconds to a few
minutes.
"""
BELIEVE_FOR = timedelta(hours=1)
"""How long a snapshot that its service has promised may stay hidden before it is written off."""
FIRST_LOOK = timedelta(minutes=5)
"""The smallest snapshots take a few minutes; asking earlier costs a call and tells nothing."""
ASK_AGAIN = timedelta(minutes=5)
"""How often a database is looked at that could not be backed up: its windows are half hours."""
ASK_FOR = timedelta(hours=2, minutes=45)
"""How long: then it has missed this night, with its reason, before the step's three hours end."""
ATTEMPTS_FROZEN = 2
"""An instance stands still meanwhile: what is cut off twice is not tried a third time."""
GIVE_UP = timedelta(hours=24)
"""A first snapshot of the largest volumes takes most of a day; one that takes longer has missed the
next night.
"""


# ── Taking ────────────────────────────────────────────────────────────────────────────────────────


def ensure_taken(run: Run, cloud: Taking, now: datetime) -> Report:
    """Ask for a recovery point of every target of the shard, in the frozen order; what cannot be
    asked for yet is postponed and holds up nothing.
    """
    targets, progress = cloud.targets_of(run), _Progress.of(run)
    asking = progress.next(len(targets))
    in_doubt = None if cloud.taker_of(run).repeats_safely else _in_doubt_since(run)
    asked = cloud.asked_by(run)
    shown = cloud.taker_of(run).of_run(asked, targets) if in_doubt else {}
    unseen = [number for number in asking if (run.id, targets[number].arn) not in shown]
    if in_doubt and unseen and now < in_doubt + LOOK_FOR:
        why = "the traces of a call without an answer to be shown"
        return Waiting(why, until=in_doubt + LOOK_FOR)
    answers = _ask(run, {number: targets[number] for number in unseen}, cloud, now)
    cloud.catalogue.record(answers.refused.values())
    progress = progress.after(asking, answers)
    busy = answers.busy
    # Only the call without an answer is in doubt: the others were answered for.
    doubt = naming.instant(now + SLICE_TAKES) if isinstance(busy, Unclear) else ""
    facts = {**progress.facts(), "in_doubt_since": doubt, **_tally(run, answers.refused, ())}
    if busy:
        why = f"{busy.service} to {'answer again' if doubt else 'accept more'} ({busy.code})"
        return Waiting(why, until=now + timedelta(minutes=1), facts=facts)
    if progress.taken < len(targets):
        return Waiting("the next slice", until=now, facts=facts)
    if progress.postponed:
        why = f"{len(progress.postponed)} that cannot be backed up yet: {answers.first_held}"
        return Waiting(why, until=now + ASK_AGAIN, facts=facts)
    return Done(facts)


def ensure_taken_frozen(run: Run, cloud: Taking, now: datetime) -> Report:
    """Take what the scripts hold still, if it can be had at once. Whatever keeps it waiting, the
    scripts let go first: then `take` asks again, or finds the traces.
    """
    if run.facts.get("consistency") != APPLICATION:
        return Done()
    report: Report = Waiting(f"{run.attempts} attempts at it that never reported")
    if run.attempts <= ATTEMPTS_FROZEN:
        report = ensure_taken(run, cloud, now)
    if isinstance(report, Done):
        return report
    doubt = {"in_doubt_since": naming.instant(run.unclear_since)} if run.unclear_since else {}
    why = report.on if isinstance(report, Waiting) else report.why
    consistency = f"crash-consistent only: while it was held still, it waited for {why}"
    return Done({**doubt, **report.facts, "consistency": consistency})


@dataclass(frozen=True)
class _Answers:
    """What came of asking, by the target's number."""

    refused: Mapping[int, RecoveryPoint]
    """Recorded as failed: asking again will not help."""
    held: Mapping[int, str]
    """To be asked again, and why."""
    unasked: frozenset[int]
    """Those that the service was too busy for."""
    busy: Busy | None

    @property
    def first_held(self) -> str:
        return next(iter(self.held.values()), "")


@dataclass(frozen=True)
class _Progress:
    """How far a shard has asked."""

    taken: int
    """What comes before it was answered for, but for what is postponed."""
    postponed: tuple[int, ...]

    @classmethod
    def of(cls, run: Run) -> "_Progress":
        postponed = tuple(map(int, run.facts.get("postponed", "").split()))
        return cls(int(run.facts.get("taken", "0")), postponed)

    def next(self, targets: int) -> list[int]:
        return [*self.postponed, *range(self.taken, min(self.taken + SLICE, targets))]

    def after(self, asking: Sequence[int], answers: _Answers) -> "_Progress":
        done = [number for number in asking if number not in answers.unasked]
        waiting = (set(self.postponed) & answers.unasked) | answers.held.keys()
        return _Progress(max([self.taken, *(one + 1 for one in done)]), tuple(sorted(waiting)))

    def facts(self) -> dict[str, str]:
        return {"taken": str(self.taken), "postponed": " ".join(map(str, self.postponed))}


def _ask(run: Run, targets: Mapping[int, Target], cloud: Taking, now: datetime) -> _Answers:
    states = cloud.keys.states({key for target in targets.values() for key in target.keys})
    reasons: dict[int, str] = {}
    held: dict[int, str] = {}
    left = list(targets)
    busy: Busy | None = None
    while left and not busy:
        number = left[0]
        try:
            reasons[number], held[number] = _answer(run, targets[number], states, cloud, now)
            del left[0]
        except Busy as error:
            busy = error
    if now >= run.entered_at + ASK_FOR:
        late = {
            number: f"{why}, and was asked for {ASK_FOR}" for number, why in held.items() if why
        }
        reasons, held = reasons | late, {}
    refused = {
        number: _unusable(run, targets[number], cloud, why)
        for number, why in reasons.items()
        if why
    }
    held = {number: f"{targets[number].name}: {why}" for number, why in held.items() if why}
    return _Answers(refused, held, frozenset(left), busy)


def _answer(
    run: Run, target: Target, states: Mapping[str, KeyState], cloud: Taking, now: datetime
) -> tuple[str, str]:
    """Why there will be no recovery point of it, and why there can be none yet.

    A right that our role lacks is such a reason, too: then every target has it, and people read it
    where they look for what failed.
    """
    if reasons := [why for key in target.keys if (why := unusable_key(states[key]))]:
        return "; ".join(reasons), ""
    try:
        return "", cloud.taker_of(run).take(target, cloud.asked_by(run), now)
    except (NotThere, Refused) as error:
        return str(error), ""


def _in_doubt_since(run: Run) -> datetime | None:
    """When a call went unanswered: of this attempt, or of one that was cut off."""
    told = run.facts.get("in_doubt_since")
    known = [at for at in (run.unclear_since, told and naming.parse_instant(told)) if at]
    return max(known, default=None)


# ── Reading back ──────────────────────────────────────────────────────────────────────────────────


def ensure_completed(run: Run, cloud: Taking, now: datetime) -> Report:
    """Read back what was taken, and catalogue what has ended."""
    if now < run.entered_at + FIRST_LOOK:
        return Waiting("snapshots to complete", until=run.entered_at + FIRST_LOOK)
    targets = cloud.targets_of(run)
    recorded = int(run.facts.get("recorded", "0"), 16)
    open_ones = {
        number: target for number, target in enumerate(targets) if not recorded >> number & 1
    }
    shown = cloud.taker_of(run).of_run(cloud.asked_by(run), list(open_ones.values()))
    progress = _Progress.of(run)
    fresh: dict[int, RecoveryPoint] = {}
    doubles: list[RecoveryPoint] = []
    waiting = 0
    for number, target in open_ones.items():
        # What was answered for exists, and Describe lags; anything else may never have been made.
        answered = number < progress.taken and number not in progress.postponed
        points = _ended(run, target, shown, cloud, now, BELIEVE_FOR if answered else LOOK_FOR)
        if points is None:
            waiting += 1
        else:
            fresh[number], *others = points
            doubles += others
    cloud.catalogue.record([*fresh.values(), *doubles])
    facts = _tally(run, fresh, doubles)
    if waiting:
        return Waiting(f"{waiting} of {len(targets)} recovery points to complete", facts=facts)
    told = RecoveryPointsCompleted.about(
        run,
        at=now,
        plan=run.facts["plan"],
        completed=int(facts["completed"]),
        failed=int(facts["failed"]),
        doubles=int(facts["doubles"]),
        reasons=facts["reasons"].splitlines(),
        crash_consistent=_crash_consistent(run, targets),
    )
    return Done(facts, news=[told])


def _crash_consistent(run: Run, targets: Sequence[Target]) -> str:
    """What was not taken as its plan asks, and why."""
    consistency = run.facts.get("consistency", APPLICATION)
    if consistency == APPLICATION:
        return ""
    return f"{targets[0].name or targets[0].arn}: {consistency}"[:LINE]


def _ended(
    run: Run, target: Target, shown: BySource, cloud: Taking, now: datetime, patience: timedelta
) -> list[RecoveryPoint] | None:
    """The recovery point of a target and its doubles, once nothing about it can change; None until
    then.
    """
    since = now - run.entered_at
    found: Found | None = shown.get((run.id, target.arn))
    if found is None:
        service = target.kind.service.label
        why = run.failure or f"{service} shows no snapshot of it {patience} after it was asked for"
        return [_unusable(run, target, cloud, why)] if since >= patience else None
    if found.pending:
        why = f"still {found.pending[0].state} after {GIVE_UP}"
        abandoned = given_up(run.id, found.pending, cloud.place, why)
        return [abandoned, *found.points] if since >= GIVE_UP else None
    parts = {part.volume for part in found.points[0].parts}
    missing = set(target.volumes) - set(target.left_out) - parts
    if missing and since < patience:
        return None  # Describe shows the members of a set one after another
    point, *doubles = found.points
    # The end of a script may tell that it had not held, when the snapshots said otherwise already.
    if (consistency := run.facts.get("consistency", APPLICATION)) != APPLICATION:
        point = replace(point, consistency=consistency)
    if missing:
        point = replace(
            point, why=f"without {', '.join(sorted(missing))}: detached before it was taken"
        )
    return [point, *doubles]


def _tally(
    run: Run, fresh: Mapping[int, RecoveryPoint], doubles: Sequence[RecoveryPoint]
) -> dict[str, str]:
    """The shard's counts with `fresh` added. `recorded` is a bit per target, so that each is
    catalogued once.
    """
    recorded = int(run.facts.get("recorded", "0"), 16)
    for number in fresh:
        recorded |= 1 << number
    failed = [point for point in fresh.values() if point.state is State.FAILED]
    reasons = run.facts.get("reasons", "").splitlines()
    reasons += [f"{point.resource}: {point.why}".replace("\n", " ")[:LINE] for point in failed]
    return {
        "recorded": f"{recorded:x}",
        "completed": str(int(run.facts.get("completed", "0")) + len(fresh) - len(failed)),
        "failed": str(int(run.facts.get("failed", "0")) + len(failed)),
        "doubles": str(int(run.facts.get("doubles", "0")) + len(doubles)),
        "reasons": "\n".join(reasons[:LINES]),
    }


def _unusable(run: Run, target: Target, cloud: Taking, why: str) -> RecoveryPoint:
    night = naming.parse_minute(run.facts["occurrence"])
    return unusable(run.id, target, run.facts["plan"], cloud.place, night, why)
