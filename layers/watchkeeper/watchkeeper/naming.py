"""Every stored name: keys, tags and ids. Built and parsed here only.

Stored names are an interface: records written by an older version must stay readable, so names are
added, never changed.
"""

import hashlib
import re
from collections.abc import Mapping
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


def refused_policy_id(capability: str, digest: str) -> str:
    return f"{capability}#policy#{digest}"


def gone_policy_id(capability: str, digest: str, at: datetime) -> str:
    return f"{capability}#policy-gone#{digest}#{minute(at)}"


def expiry_id(occurrence: datetime) -> str:
    return f"expire#{minute(occurrence)}"


def round_id(occurrence: datetime) -> str:
    """A round of drills."""
    return f"drill#round#{minute(occurrence)}"


def drill_id(run_id: str, level: str) -> str:
    """One drill within a run: of a resource there may be several, at different levels."""
    return f"{run_id}#{level}"


def restore_id(round_id: str, resource: str, level: str) -> str:
    """One drill that restores something: a run of its own, begun by a round."""
    return f"{round_id}#{short_id(resource)}#{level}"


def janitor_id(at: datetime) -> str:
    """The hourly look for what drills have left."""
    return f"drill#janitor#{minute(at.astimezone(UTC).replace(minute=0))}"


KEYS_EVERY = 6
"""Hours, from midnight in UTC: a key lives at least seven days after its deletion was asked for, a
disabled one can be enabled, and events tell of both sooner.
"""


def keys_id(at: datetime) -> str:
    """The check of the keys that covers `at`: the same one for the next hours."""
    at = at.astimezone(UTC)
    return f"backup#keys#{minute(at.replace(hour=at.hour // KEYS_EVERY * KEYS_EVERY, minute=0))}"


def keys_event_id(event_id: str) -> str:
    """The check of the keys that an event asks for."""
    return f"backup#keys#event#{event_id}"


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
SPAN_SK = "SPAN"
"""Of the one record of what point-in-time recovery can restore: it moves, and is overwritten."""


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


def others_pk(resource: str) -> str:
    """Recovery points that somebody else made: apart, so that what removes ours never sees them."""
    return f"OTHERS#{resource}"


def point_sk(created_at: datetime, point: str) -> str:
    return f"{instant(created_at)}#{point}"


def listing_key(stack: str) -> str:
    return f"POINTS#{stack}"


def others_listing_key(stack: str) -> str:
    return f"OTHERS#{stack}"


def proof_pk(resource: str) -> str:
    return f"PROOF#{resource}"


def proof_sk(drilled_at: datetime, level: str) -> str:
    return f"{instant(drilled_at)}#{level}"


def latest_proof_sk(level: str) -> str:
    """Of the record that the newest proof of a level overwrites."""
    return f"LEVEL#{level}"


def proofs_listing_key(stack: str) -> str:
    return f"PROOFS#{stack}"


def drills_pk(stack: str) -> str:
    """Of the records of drills that cost something, begun within the last weeks."""
    return f"DRILLS#{stack}"


def begun_sk(begun_at: datetime, run_id: str) -> str:
    return f"{instant(begun_at)}#{run_id}"


def incident_run(incident_id: str) -> str:
    """The id of the run that looks at an incident and tells people of it."""
    return f"triage#{incident_id}"


def incident_of_run(run_id: str) -> str:
    return run_id.removeprefix("triage#")


def book_key(stack: str) -> dict[str, str]:
    """Of the list of the incidents that are open or may be repeated."""
    return {"pk": f"INCIDENTS#{stack}", "sk": "BOOK"}


def incident_key(incident_id: str) -> dict[str, str]:
    return {"pk": f"INCIDENT#{incident_id}", "sk": "STATE"}


ALARM_OF_INCIDENT = "ALARM#"


def alarm_key(incident_id: str, key: str) -> dict[str, str]:
    """What one alarm of an incident said when it was raised."""
    return {"pk": f"INCIDENT#{incident_id}", "sk": f"{ALARM_OF_INCIDENT}{key}"}


def alarm_of_sk(sk: str) -> str:
    return sk.removeprefix(ALARM_OF_INCIDENT)


def look_key(incident_id: str, look: int, name: str) -> str:
    """Where in the bucket of incidents something of one look is."""
    return f"incidents/{incident_id}/{look}/{name}"


def incident_page_key(incident_id: str) -> str:
    """Of the newest report, as people read it."""
    return f"incidents/{incident_id}/report.html"


def sign_off_key(run_id: str) -> dict[str, str]:
    return {"pk": f"RUN#{run_id}", "sk": "SIGN_OFF"}


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


def keys_key(capability: str) -> dict[str, str]:
    """What people were told of failing keys."""
    return {"pk": coverage_pk(capability), "sk": "KEYS"}


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
TAG_CONSISTENCY = "watchkeeper:consistency"
TAG_ASKED_AT = "watchkeeper:asked-at"
"""When it was meant to be taken, as `instant` writes it."""
TAG_LEGAL_HOLD = "watchkeeper:legal-hold"
TAGS_OF_OTHERS = {
    "aws:backup:source-resource": "AWS Backup",
    "aws:dlm:lifecycle-policy-id": "Data Lifecycle Manager",
}
"""Tags that other services put on the snapshots they take and manage."""


# ── What drills make ──────────────────────────────────────────────────────────────────────────────

TAG_DRILL = "watchkeeper:drill"
"""The name of the drill that something was made for: `drill_name`."""
TAG_EXPIRES = "watchkeeper:expires"
"""When whoever finds it may remove it, as `instant` writes it."""
DRILL = "wk-drill-"
"""What the names of all that drills make begin with: rights in template.yaml name it."""


def drill_name(stack: str, run_id: str) -> str:
    """Of what the run of a drill restores. Good for RDS, DynamoDB, tags and client tokens. The
    stack is in it, because two stacks may drill the same resource at the same time.
    """
    return f"{DRILL}{short_id(f'{stack}|{run_id}')}"


def is_drill(name: str) -> bool:
    """Whether a drill gave this name; that of a cluster's member has a number behind it."""
    return re.fullmatch(rf"{DRILL}[0-9a-f]{{16}}(-[0-9]+)?", name) is not None


def drill_of(name: str) -> str:
    """The drill's name in that of a cluster's member, or in its own."""
    return name[: len(DRILL) + 16]


def drill_tags(stack: str, run_id: str, expires_at: datetime) -> dict[str, str]:
    """What all that a drill makes is tagged with in the call that makes it."""
    return {
        TAG_STACK: stack,
        TAG_RUN: rds_value(run_id),
        TAG_DRILL: drill_name(stack, run_id),
        TAG_EXPIRES: instant(expires_at),
    }


def expires_at(tags: Mapping[str, str]) -> datetime | None:
    """None if the tag is not there (yet), or somebody has written something else."""
    try:
        found = parse_instant(tags[TAG_EXPIRES])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else None


# ── What is recovered in earnest ──────────────────────────────────────────────────────────────────

TAG_RECOVERED = "watchkeeper:recovered"
"""The name of the recovery that something was made by: `recovered_name`."""
RECOVERED = "-wkr-"
"""In the names of all that recoveries make: rights in template.yaml name it."""
DIGITS_OF_RUN = 8
"""Of the run's short id, behind it: the rest of a name is the original's."""


def recovered_name(original: str, run_id: str, longest: int) -> str:
    """Beside the original, and never its own; cut to what its service takes. RDS takes no two
    hyphens in a row.
    """
    ending = f"{RECOVERED}{short_id(run_id)[:DIGITS_OF_RUN]}"
    return original[: longest - len(ending)].rstrip("-.") + ending


def is_recovered(name: str) -> bool:
    """Whether a recovery gave this name; that of a cluster's member has a number behind it."""
    return re.fullmatch(rf".+{RECOVERED}[0-9a-f]{{{DIGITS_OF_RUN}}}(-[0-9]+)?", name) is not None


def recovered_tags(stack: str, run_id: str, name: str) -> dict[str, str]:
    """What all that a recovery makes is tagged with, before it is anybody's to use."""
    return {TAG_STACK: stack, TAG_RUN: rds_value(run_id), TAG_RECOVERED: name}


def recovery_key(name: str) -> str:
    """Where in the evidence bucket it is written down how a recovery went."""
    return f"recoveries/{name}.json"


# ── Snapshots of databases, backups of tables ─────────────────────────────────────────────────────


def database_snapshot(stack: str, point: str) -> str:
    """The identifier of the snapshot that is a recovery point: the same for every attempt, so that
    a second one is refused. The stack is in it, because two stacks may have the same plan.

    Of the stack a digest: RDS takes fewer characters than CloudFormation, and in small letters.
    """
    return f"{DATABASE_SNAPSHOT}{short_id(stack)[:8]}-{point}"


DATABASE_SNAPSHOT = "wk-"
"""What the identifiers begin with: rights and a rule in template.yaml name it."""


def point_of_snapshot(name: str) -> str:
    """The recovery point's id in the name that `database_snapshot` gave."""
    return name.rsplit("-", 1)[-1]


def rds_value(text: str) -> str:
    """`text` as the value of an RDS tag, which takes no `#`; run ids have no `/` of their own."""
    return text.replace("#", "/")


def from_rds_value(text: str) -> str:
    return text.replace("/", "#")


def table_backup(stack: str, plan: str, run_id: str, point: str) -> str:
    """The name of a backup of a table. It stands in for tags, which backups do not have.

    Raises ValueError if it would be longer than DynamoDB takes; only the id of a request by hand
    can make it so.
    """
    run = run_id.replace("_", "__").replace("#", "_n").replace(":", "_c")
    name = f"{table_backups(stack)}{plan}.{run}.{point}"
    if len(name) > LONGEST_BACKUP_NAME:
        raise ValueError(f"{run_id!r} is too long an id for backups of tables in stack {stack}")
    return name


LONGEST_BACKUP_NAME = 255


def table_backups(stack: str) -> str:
    """What the names of a stack's backups of tables begin with."""
    return f"wk.{stack}."


def parse_table_backup(name: str) -> tuple[str, str, str, str] | None:
    """Stack, plan, run id and recovery point's id; None if the name is nobody's of ours."""
    matched = _TABLE_BACKUP.fullmatch(name)
    if matched is None:
        return None
    stack, plan, run, point = matched.groups()
    return stack, plan, re.sub("_([_nc])", lambda one: _ESCAPED[one[1]], run), point


_TABLE_BACKUP = re.compile(
    r"wk\.([A-Za-z0-9-]+)\.([a-z0-9-]+)\.((?:[A-Za-z0-9.-]|_[_nc])+)\.([0-9a-f]{16})"
)
_ESCAPED = {"_": "_", "n": "#", "c": ":"}


def manifest_key(point: str) -> str:
    """Where in the evidence bucket the document beside a recovery point lies."""
    return f"manifests/{point}.json"


EVIDENCE = "evidence/"
"""What the keys of all evidence begin with."""


def evidence_chain(chain: str) -> str:
    """What the keys of one resource's evidence begin with; `chain` is its short id."""
    return f"{EVIDENCE}{chain}/"


def evidence_key(resource: str, sequence: int) -> str:
    """Eight digits, so that text order is the chain's."""
    return f"{evidence_chain(short_id(resource))}{sequence:08d}.json"


def evidence_page_key(resource: str, sequence: int) -> str:
    """The page for people, beside its document."""
    return evidence_key(resource, sequence).removesuffix(".json") + ".html"


def exercise_page_key(drill: str) -> str:
    """The page that a person follows in an exercise."""
    return f"exercises/{drill}.html"


def parse_evidence_key(key: str) -> tuple[str, int] | None:
    """The resource's short id and the number in its chain; None if it is no document."""
    matched = re.fullmatch(rf"{EVIDENCE}([0-9a-f]{{16}})/([0-9]{{8}})\.json", key)
    return None if matched is None else (matched[1], int(matched[2]))


# ── ARNs ──────────────────────────────────────────────────────────────────────────────────────────


def service_and_type(arn: str) -> tuple[str, str]:
    """`ec2` and `volume`, say. A bucket's ARN is its name alone; the others begin with their type.
    Of what is no ARN, two empty words.
    """
    match arn.split(":", 5):
        case [_, _, "s3", _, _, _]:
            return "s3", "bucket"
        case [_, _, service, _, _, resource]:
            return service, resource.replace("/", ":").split(":")[0]
        case _:
            return "", ""


def instance_arn(place: tuple[str, str, str], instance_id: str) -> str:
    """`place`, of every ARN made here, is partition, Region and account."""
    return _arn(place, "ec2", f"instance/{instance_id}")


def volume_arn(place: tuple[str, str, str], volume_id: str) -> str:
    return _arn(place, "ec2", f"volume/{volume_id}")


def database_arn(place: tuple[str, str, str], identifier: str) -> str:
    return _arn(place, "rds", f"db:{identifier}")


def cluster_arn(place: tuple[str, str, str], identifier: str) -> str:
    return _arn(place, "rds", f"cluster:{identifier}")


def table_arn(place: tuple[str, str, str], name: str) -> str:
    return _arn(place, "dynamodb", f"table/{name}")


def _arn(place: tuple[str, str, str], service: str, resource: str) -> str:
    partition, region, account = place
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


def rds_name(arn: str) -> str:
    """The identifier of a database, a cluster or a snapshot of one, from its ARN; that of an
    automated snapshot has a colon of its own.
    """
    return arn.split(":", 6)[6]


def table_name(arn: str) -> str:
    """The table's name in its ARN, or in that of a backup of it."""
    return arn.split(":", 5)[5].split("/")[1]


def ec2_id(arn: str) -> str:
    """The bare id (`vol-…`, `i-…`, `snap-…`) in either ARN form that EC2 uses; a bare id is
    returned as it is.
    """
    return arn.rsplit("/", 1)[-1]
