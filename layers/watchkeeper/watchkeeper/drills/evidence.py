"""What a drill leaves for people who were not there: one document each, chained per resource.

A document that is written stays as it is, and may be read by any later version. Pure: bytes in,
bytes out.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypeVar

from watchkeeper import naming
from watchkeeper.backups.model import Kind, Place, RecoveryPoint
from watchkeeper.drills.model import Check, Level, Phases, Verdict
from watchkeeper.quoting import quoted

SCHEMA = 1
"""Fields are added, never renamed, so every schema can be read as the first."""

# A found value is somebody else's data: enough to see why it was not the expected one, too little
# to carry a table's rows into a document that nobody can remove.
LONGEST_TEXT = 400

Value = TypeVar("Value", str, int, bool, list[Any], dict[str, Any])


class BadEvidence(ValueError):
    """What lies in a chain is no evidence; the message says what is wrong with it."""


# ── One document ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Point:
    """The recovery point that was drilled, as the catalogue had it then."""

    id: str
    created_at: datetime
    """The moment whose data it holds, or where it is a span the first that can be restored."""
    place: Place
    snapshots: tuple[str, ...] = ()
    keeper: str = ""
    """Who made it, if not this stack."""
    manifest: str = ""
    """SHA-256, in hex, of the document that says what it should hold; empty if there is none."""
    until: datetime | None = None
    """Where it is a span and not a moment: the last moment that can be restored."""

    @classmethod
    def of(cls, point: RecoveryPoint) -> Self:
        return cls(
            id=point.id,
            created_at=point.created_at,
            place=point.place,
            snapshots=tuple(part.snapshot for part in point.parts),
            keeper=point.keeper,
            manifest=point.manifest,
            until=point.until,
        )


@dataclass(frozen=True)
class Control:
    """A version of a check was seen to fail on a tampered and on an empty stand-in."""

    check: str
    version: int
    proven_at: datetime


@dataclass(frozen=True)
class Evidence:
    """What one drill did and found. Nothing else enters it: who calls keeps secrets out."""

    resource: str
    """An ARN."""
    kind: Kind
    name: str
    plan: str
    level: Level
    run: str
    why: str
    """Why this resource, this point and this level."""
    began_at: datetime
    ended_at: datetime
    verdict: Verdict
    failure: str = ""
    """The first check that did not pass, or what kept the drill from a verdict."""
    point: Point | None = None
    """None where there was nothing to drill, which is a failure."""
    phases: Phases = field(default_factory=Phases)
    newest_data: datetime | None = None
    """The newest data found in what was restored."""
    rpo_reached: timedelta | None = None
    """The age of that data; None if it was not measured."""
    rpo_objective: timedelta | None = None
    rto_objective: timedelta | None = None
    checks: tuple[Check, ...] = ()
    controls: tuple[Control, ...] = ()
    """Of the checks above."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what did the drill: `watchkeeper`, `python`, `boto3`."""
    cost_estimated: Decimal = Decimal(0)
    """USD, beforehand."""
    cost_known: Decimal | None = None
    """USD, of what was really used; None where nobody can say yet."""
    removed: tuple[str, ...] = ()
    """What the drill had made and the sweep read back as gone."""
    left: tuple[str, ...] = ()
    """What the sweep still found."""
    sequence: int = 0
    """Its number in the resource's chain, from 1."""
    previous: str = ""
    """The digest of the document before it; empty in the first."""

    def __post_init__(self) -> None:
        """Raises ValueError for a drill that passed and whose own findings say otherwise."""
        if self.verdict is not Verdict.PASSED:
            return
        if not self.checks or self.point is None:
            raise ValueError(f"{self.run!r} cannot have passed: nothing was checked")
        if bad := [check.name for check in self.checks if not check.passed]:
            raise ValueError(f"{self.run!r} cannot have passed: {bad[0]!r} did not")
        if self.phases.asked and not self.phases.torn_down:
            raise ValueError(f"{self.run!r} cannot have passed: it was not torn down")
        if self.left:
            raise ValueError(f"{self.run!r} cannot have passed: it left {self.left[0]!r}")

    @property
    def rto_reached(self) -> timedelta | None:
        """From asking for the restore to the answer of the last check; None if it got not so far.
        To be available is not enough.
        """
        if self.phases.asked is None or self.phases.verified is None:
            return None
        return self.phases.verified - self.phases.asked

    def to_json(self) -> bytes:
        """The same bytes for the same evidence; texts longer than `LONGEST_TEXT` are cut."""
        document = {
            "schema": SCHEMA,
            "sequence": self.sequence,
            "previous": self.previous,
            "resource": self.resource,
            "kind": self.kind.value,
            "name": _cut(self.name),
            "plan": self.plan,
            "level": self.level.value,
            "run": self.run,
            "why": _cut(self.why),
            "began_at": naming.instant(self.began_at),
            "ended_at": naming.instant(self.ended_at),
            "verdict": self.verdict.value,
            "failure": _cut(self.failure),
            "point": None if self.point is None else _of_point(self.point),
            "phases": {one: _instant(getattr(self.phases, one)) for one in PHASES},
            "newest_data": _instant(self.newest_data),
            "rpo_seconds": _against(self.rpo_reached, self.rpo_objective),
            "rto_seconds": _against(self.rto_reached, self.rto_objective),
            "checks": [_of_check(check) for check in self.checks],
            "controls": [_of_control(control) for control in self.controls],
            "versions": dict(self.versions),
            "cost_usd": {
                "estimated": f"{self.cost_estimated:f}",
                "known": None if self.cost_known is None else f"{self.cost_known:f}",
            },
            "removed": [_cut(one) for one in self.removed],
            "left": [_cut(one) for one in self.left],
            "audit": [f"{one.control}: {one.asks}" for one in audited(self.level)],
        }
        # Indented: an auditor opens it as it is. ASCII: whatever somebody else wrote in it can
        # neither drive a terminal nor turn the direction of the text around it.
        return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True).encode()

    @classmethod
    def of(cls, document: bytes) -> "Evidence":
        """Fields of newer versions are left out. Raises BadEvidence."""
        found = read_object(document)
        try:
            return _read(found)
        except BadEvidence:
            raise
        except (ValueError, ArithmeticError) as error:  # no kind, time or number that we know
            raise BadEvidence(str(error)) from error


PHASES = tuple(one.name for one in fields(Phases))
"""In the order in which they are reached."""


def digest(document: bytes) -> str:
    """SHA-256, in hex, of the bytes as stored: what the next document and the table remember."""
    return hashlib.sha256(document).hexdigest()


# ── What auditors ask for ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Audited:
    """Something that a standard asks for and a drill can show."""

    control: str
    asks: str
    since: Level
    """A drill of a lower level cannot show it."""


# In our words. The texts: Regulation (EU) 2022/2554, https://eur-lex.europa.eu/eli/reg/2022/2554/oj;
# NIST SP 800-53 Rev. 5, https://doi.org/10.6028/NIST.SP.800-53r5; AICPA TSP section 100, A1.3;
# ISO/IEC 27001:2022, Annex A.
AUDITED = (
    Audited("ISO/IEC 27001 A.8.13", "maintain backup copies and test them", Level.METADATA),
    Audited("NIST SP 800-53 CP-9(1)", "test backups for their integrity", Level.BLOCKS),
    Audited("DORA Art. 12(2)", "test backup and restoration periodically", Level.RESTORE),
    Audited("DORA Art. 12(3)", "restore on systems apart from the source", Level.RESTORE),
    Audited("DORA Art. 12(6)", "meet objectives for recovery time and point", Level.RESTORE),
    Audited("DORA Art. 12(7)", "check what was restored, reconciliations included", Level.CHECK),
    Audited("SOC 2 A1.3", "test recovery, and that backups are complete and intact", Level.CHECK),
)


def audited(level: Level) -> tuple[Audited, ...]:
    """What a drill of `level` can show, and no more."""
    return tuple(one for one in AUDITED if one.since.number <= level.number)


# ── Writing and reading ───────────────────────────────────────────────────────────────────────────


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else naming.instant(at)


def _against(reached: timedelta | None, objective: timedelta | None) -> dict[str, int | None]:
    """Whole seconds, rounded up: nothing looks faster, or younger, than it was."""
    named = {"reached": reached, "objective": objective}
    return {
        name: None if lasted is None else math.ceil(lasted.total_seconds())
        for name, lasted in named.items()
    }


def _of_point(point: Point) -> dict[str, object]:
    return {
        "id": point.id,
        "created_at": naming.instant(point.created_at),
        "until": _instant(point.until),
        "account": point.place.account,
        "region": point.place.region,
        "tier": point.place.tier,
        "snapshots": list(point.snapshots),
        "keeper": point.keeper,
        "manifest": point.manifest,
    }


def _of_check(check: Check) -> dict[str, object]:
    return {
        "name": _cut(check.name),
        "level": check.level.value,
        "version": check.version,
        "expected": _cut(check.expected),
        "found": _cut(check.found),
        "passed": check.passed,
        "why": _cut(check.why),
    }


def _of_control(control: Control) -> dict[str, object]:
    return {
        "check": _cut(control.check),
        "version": control.version,
        "proven_at": naming.instant(control.proven_at),
    }


def read_object(document: bytes) -> dict[str, Any]:
    """Raises BadEvidence."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise BadEvidence(f"it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadEvidence(f"it is no JSON object but {quoted(found)}")
    return found


def read_field(found: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """Raises BadEvidence if it is not exactly of that kind."""
    value = found.get(name)
    if type(value) is not kind:  # to Python, true is an int as well
        raise BadEvidence(f"its {name} is {quoted(value)} where a {kind.__name__} is expected")
    return value


def _objects(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    items = read_field(found, name, list)
    if bad := [item for item in items if not isinstance(item, dict)]:
        raise BadEvidence(f"its {name} hold {quoted(bad[0])} where an object is expected")
    return items


def _texts(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(str(item) for item in read_field(found, name, list))


def _time(found: Mapping[str, Any], name: str) -> datetime:
    at = naming.parse_instant(read_field(found, name, str))
    if at.tzinfo is None:
        raise BadEvidence(f"its {name} has no time zone")
    return at


def _maybe_time(found: Mapping[str, Any], name: str) -> datetime | None:
    return None if found.get(name) is None else _time(found, name)


def _lasted(found: Mapping[str, Any], name: str, which: str) -> timedelta | None:
    seconds = read_field(found, name, dict).get(which)
    return None if seconds is None else timedelta(seconds=read_field(found[name], which, int))


def _read_point(found: Mapping[str, Any]) -> Point | None:
    if found.get("point") is None:
        return None
    point = read_field(found, "point", dict)
    return Point(
        id=read_field(point, "id", str),
        created_at=_time(point, "created_at"),
        place=Place(*(read_field(point, name, str) for name in ("account", "region", "tier"))),
        snapshots=_texts(point, "snapshots"),
        keeper=read_field(point, "keeper", str),
        manifest=read_field(point, "manifest", str),
        until=_maybe_time(point, "until"),
    )


def _read_check(check: Mapping[str, Any]) -> Check:
    return Check(
        name=read_field(check, "name", str),
        level=Level(read_field(check, "level", str)),
        version=read_field(check, "version", int),
        expected=read_field(check, "expected", str),
        found=read_field(check, "found", str),
        passed=read_field(check, "passed", bool),
        why=read_field(check, "why", str),
    )


def _read_control(control: Mapping[str, Any]) -> Control:
    return Control(
        check=read_field(control, "check", str),
        version=read_field(control, "version", int),
        proven_at=_time(control, "proven_at"),
    )


def _read(found: Mapping[str, Any]) -> Evidence:
    phases, cost = read_field(found, "phases", dict), read_field(found, "cost_usd", dict)
    versions = read_field(found, "versions", dict)
    return Evidence(
        resource=read_field(found, "resource", str),
        kind=Kind(read_field(found, "kind", str)),
        name=read_field(found, "name", str),
        plan=read_field(found, "plan", str),
        level=Level(read_field(found, "level", str)),
        run=read_field(found, "run", str),
        why=read_field(found, "why", str),
        began_at=_time(found, "began_at"),
        ended_at=_time(found, "ended_at"),
        verdict=Verdict(read_field(found, "verdict", str)),
        failure=read_field(found, "failure", str),
        point=_read_point(found),
        phases=Phases(**{one: _maybe_time(phases, one) for one in PHASES}),
        newest_data=_maybe_time(found, "newest_data"),
        rpo_reached=_lasted(found, "rpo_seconds", "reached"),
        rpo_objective=_lasted(found, "rpo_seconds", "objective"),
        rto_objective=_lasted(found, "rto_seconds", "objective"),
        checks=tuple(_read_check(check) for check in _objects(found, "checks")),
        controls=tuple(_read_control(control) for control in _objects(found, "controls")),
        versions={name: str(version) for name, version in versions.items()},
        cost_estimated=Decimal(read_field(cost, "estimated", str)),
        cost_known=None if cost.get("known") is None else Decimal(read_field(cost, "known", str)),
        removed=_texts(found, "removed"),
        left=_texts(found, "left"),
        sequence=read_field(found, "sequence", int),
        previous=read_field(found, "previous", str),
    )
