"""Made-up resources with recovery points and proofs, as the choice of drills sees them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.drills.model import Level, Proof, Subject, Verdict

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOME, AWAY = "eu-west-1", "eu-central-1"
PREFIX = {
    Kind.INSTANCE: "ec2:{}:111122223333:instance/i-",
    Kind.VOLUME: "ec2:{}:111122223333:volume/vol-",
    Kind.DATABASE: "rds:{}:111122223333:db:",
    Kind.CLUSTER: "rds:{}:111122223333:cluster:",
    Kind.TABLE: "dynamodb:{}:111122223333:table/",
}


def arn(kind: Kind, name: str) -> str:
    return f"arn:aws:{PREFIX[kind].format(HOME)}{name}"


def point(
    kind: Kind = Kind.VOLUME,
    name: str = "data",
    made: datetime = NOW,
    gib: int = 8,
    region: str = HOME,
    tier: str = "standard",
    **changes: object,
) -> RecoveryPoint:
    is_of_ebs = kind in (Kind.INSTANCE, Kind.VOLUME)
    part = Part("snap-0a" if is_of_ebs else f"arn:aws:x:::{name}", "vol-0a", gib)
    fields: dict[str, object] = {
        "resource": arn(kind, name),
        "id": f"{made:%Y%m%d}-{region}-{tier}",
        "kind": kind,
        "created_at": made,
        "run": "r",
        "plan": "gold",
        "place": Place("111122223333", region, tier),
        "state": State.COMPLETED,
        "parts": (part,),
    }
    return RecoveryPoint(**(fields | changes))  # type: ignore[arg-type]


def days_ago(days: float, now: datetime = NOW) -> datetime:
    return now - timedelta(days=days)


def proof(resource: str, level: Level, at: datetime, verdict: Verdict = Verdict.PASSED) -> Proof:
    return Proof(resource, level, at, verdict, "p", at, "run")


def subject(
    name: str = "data",
    kind: Kind = Kind.VOLUME,
    plan: str = "silver",
    points: tuple[RecoveryPoint, ...] | None = None,
    now: datetime = NOW,
    gib: int = 8,
    **passed: float,
) -> Subject:
    """`passed`: per level, how many days ago it passed."""
    if points is None:
        points = tuple(point(kind, name, days_ago(days, now), gib) for days in (0.3, 1.3, 9.3))
    resource = arn(kind, name)
    proofs: Mapping[Level, Proof] = {
        Level(level): proof(resource, Level(level), days_ago(days, now))
        for level, days in passed.items()
    }
    return Subject(resource, kind, name, plan, points, proofs)
