"""Every stored name: keys, tags and ids. Built and parsed here only.

Stored names are an interface: records written by an older version must stay readable, so names are
added, never changed.
"""

import hashlib
import re
from datetime import UTC, datetime

# ── Times in keys and ids ─────────────────────────────────────────────────────────────────────────


def minute(at: datetime) -> str:
    """`at` in UTC to the minute, as run ids carry it: `2026-11-23T02:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse_minute(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)


def instant(at: datetime) -> str:
    """`at` in UTC to the millisecond at a fixed width, so that text order is time order. AWS
    reports milliseconds.
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# ── Ids ───────────────────────────────────────────────────────────────────────────────────────────


def short_id(text: str) -> str:
    """16 hex digits for names that AWS limits in length; 64 bits keep a million runs apart with
    odds of 1 in 10^7.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def night_id(plan: str, occurrence: datetime) -> str:
    return f"backup#{plan}#{minute(occurrence)}"


def shard_id(night: str, number: int) -> str:
    return f"{night}#{number:03d}"


def by_hand_id(capability: str, request_id: str) -> str:
    return f"{capability}#by-hand#{request_id}"


def is_by_hand(run_id: str) -> bool:
    return run_id.split("#")[1:2] == ["by-hand"]


def rebuild_id(request_id: str) -> str:
    return f"backup#rebuild#{request_id}"


def refused_policy_id(digest: str) -> str:
    return f"backup#policy#{digest}"


def gone_policy_id(digest: str, at: datetime) -> str:
    return f"backup#policy-gone#{digest}#{minute(at)}"


def expiry_id(occurrence: datetime) -> str:
    return f"expire#{minute(occurrence)}"


def capability_of(run_id: str) -> str:
    """The first word of a run's id: which function moves it, and which key prefix its role may
    write.
    """
    return run_id.split("#", 1)[0]


def point_id(run_id: str, source: str, double: str = "") -> str:
    """A recovery point's id: one per run and source; `double` is the snapshot id of an unwanted
    second one.
    """
    return short_id(f"{run_id}|{source}|{double}" if double else f"{run_id}|{source}")


# ── Table keys ────────────────────────────────────────────────────────────────────────────────────

RUN_SK = "RUN"
TARGETS_SK = "TARGETS"
STOP_KEY = {"pk": "STOP", "sk": "STOP"}
POLICY_SK = "LAST_GOOD"


def run_key(run_id: str) -> dict[str, str]:
    return {"pk": f"RUN#{run_id}", "sk": RUN_SK}


def targets_key(run_id: str, shard: int) -> dict[str, str]:
    return {"pk": f"RUN#{run_id}", "sk": f"{TARGETS_SK}#{shard:03d}"}


def history_key(run_id: str, number: int, step: str) -> dict[str, str]:
    return {"pk": f"RUN#{run_id}", "sk": f"STEP#{number:04d}#{step}"}


def due_key(capability: str) -> str:
    return f"DUE#{capability}"


def run_id_of(pk: str) -> str:
    return pk.removeprefix("RUN#")


def point_pk(resource: str) -> str:
    return f"POINT#{resource}"


def point_sk(created_at: datetime, point: str) -> str:
    return f"{instant(created_at)}#{point}"


def listing_key(stack: str) -> str:
    return f"POINTS#{stack}"


def policy_key(capability: str) -> dict[str, str]:
    return {"pk": f"POLICY#{capability}", "sk": POLICY_SK}


def coverage_pk(capability: str) -> str:
    return f"COVERAGE#{capability}"


COVERAGE_PLAN = "PLAN#"


def coverage_key(capability: str, plan: str) -> dict[str, str]:
    return {"pk": coverage_pk(capability), "sk": f"{COVERAGE_PLAN}{plan}"}


def findings_key(capability: str, plan: str) -> dict[str, str]:
    """Beside the plan's numbers: the sweep reads those every minute, and findings are long."""
    return {"pk": coverage_pk(capability), "sk": f"FINDINGS#{plan}"}


def receipt_key(consumer: str, event_id: str) -> dict[str, str]:
    return {"pk": f"SEEN#{consumer}#{event_id}", "sk": "RECEIPT"}


# ── Tags ──────────────────────────────────────────────────────────────────────────────────────────

TAG_STACK = "watchkeeper:stack"
TAG_RUN = "watchkeeper:run"
TAG_PLAN = "watchkeeper:plan"
TAG_SOURCE = "watchkeeper:source"
TAG_POINT = "watchkeeper:point"
TAG_WORDS = "watchkeeper:words"
"""The words of whoever asked for a recovery point by hand, separated by spaces."""
TAG_LEGAL_HOLD = "watchkeeper:legal-hold"


# ── ARNs ──────────────────────────────────────────────────────────────────────────────────────────

_EC2_ARN = re.compile(r"arn:[^:]+:ec2:[^:]*:\d*:(?P<type>[a-z-]+)/(?P<id>[\w-]+)")


def volume_arn(place: "tuple[str, str, str]", volume_id: str) -> str:
    """`place` is partition, Region and account."""
    partition, region, account = place
    return f"arn:{partition}:ec2:{region}:{account}:volume/{volume_id}"


def instance_arn(place: "tuple[str, str, str]", instance_id: str) -> str:
    partition, region, account = place
    return f"arn:{partition}:ec2:{region}:{account}:instance/{instance_id}"


def ec2_id(arn: str) -> str:
    """The bare id (`vol-…`, `i-…`, `snap-…`) in either ARN form that EC2 uses; a bare id is
    returned as it is.
    """
    return arn.rsplit("/", 1)[-1]


def ec2_type(arn: str) -> str:
    """`volume`, `instance`, …; raises ValueError for anything that is not an EC2 ARN."""
    matched = _EC2_ARN.fullmatch(arn)
    if matched is None:
        raise ValueError(
            f"{arn!r:.120} is no EC2 ARN; expected arn:aws:ec2:<region>:<account>:volume/vol-…"
        )
    return matched["type"]
