"""Every event that a function accepts: one union per function, parsed at the door.

Whatever the trigger, it means the same: look at what is due, and advance it. What differs is only
which run is named.
"""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from watchkeeper import naming
from watchkeeper.news.runs import RunDue
from watchkeeper.quoting import quoted


class BadTrigger(ValueError):
    """An event that the function does not accept; the message says where and what it accepts."""


class _Trigger(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)


class _FromAws(BaseModel):
    """AWS adds fields to its events as it likes."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


# ── From EventBridge Scheduler ────────────────────────────────────────────────────────────────────


class Tick(_Trigger):
    """The schedule's own words; `scheduled_at` is the same when the tick is delivered twice."""

    trigger: Literal["tick"]
    scheduled_at: AwareDatetime


# ── From NewsTopic ────────────────────────────────────────────────────────────────────────────────


def _news_of(message: Any) -> Any:
    return json.loads(message) if isinstance(message, str) else message


class _Notification(_FromAws):
    message: Annotated[RunDue, BeforeValidator(_news_of)] = Field(alias="Message")


class _Record(_FromAws):
    sns: _Notification = Field(alias="Sns")


class Wake(_FromAws):
    """SNS delivers one message per invocation today; its envelope is a list all the same."""

    records: list[_Record] = Field(alias="Records", min_length=1)

    @property
    def run_ids(self) -> list[str]:
        return list(dict.fromkeys(record.sns.message.run for record in self.records))


# ── From EBS, by EventBridge: best effort, so they only make things sooner ────────────────────────


class _SnapshotNotified(_FromAws):
    snapshot_id: str


class _SetNotified(_FromAws):
    snapshots: list[_SnapshotNotified]


class SnapshotEvent(_FromAws):
    """The end of a snapshot, or of a set of them (`detail-type` tells which)."""

    source: Literal["aws.ec2"]
    kind: Literal["EBS Snapshot Notification", "EBS Multi-Volume Snapshots Completion Status"] = (
        Field(alias="detail-type")
    )
    detail: _SnapshotNotified | _SetNotified

    @property
    def snapshot_ids(self) -> list[str]:
        """Bare ids; the events carry ARNs, in two forms."""
        parts = self.detail.snapshots if isinstance(self.detail, _SetNotified) else [self.detail]
        return [naming.ec2_id(part.snapshot_id) for part in parts]


# ── From RDS, Systems Manager and KMS, by EventBridge ─────────────────────────────────────────────

SnapshotArn = Annotated[
    str,
    StringConstraints(
        # Room for a name of 255 characters: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html
        max_length=350,
        pattern=r"^arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:(cluster-)?snapshot:[A-Za-z0-9:-]+$",
    ),
]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]


class DatabaseSnapshotEvent(_FromAws):
    """A snapshot of a database or a cluster has been made; of one that failed RDS says nothing."""

    source: Literal["aws.rds"]
    kind: Literal["RDS DB Snapshot Event", "RDS DB Cluster Snapshot Event"] = Field(
        alias="detail-type"
    )
    snapshot: SnapshotArn = Field(validation_alias=AliasPath("detail", "SourceArn"))


class ScriptEvent(_FromAws):
    """A script before or after a set of snapshots has ended."""

    source: Literal["aws.ssm"]
    kind: Literal["EC2 Command Status-change Notification"] = Field(alias="detail-type")
    command: Uuid = Field(validation_alias=AliasPath("detail", "command-id"))
    """Its id."""


class KeyEvent(_FromAws):
    """Something was done to a KMS key: CloudTrail saw the call, where there is a trail, or KMS
    deleted the key or its material.
    """

    source: Literal["aws.kms"]
    kind: Literal[
        "AWS API Call via CloudTrail", "KMS CMK Deletion", "KMS Imported Key Material Expiration"
    ] = Field(alias="detail-type")
    id: Uuid
    """EventBridge's: the same when it is delivered again."""


# ── By hand ───────────────────────────────────────────────────────────────────────────────────────

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Names the run: the same request twice is one run."""
ResourceArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws[\w-]*:(ec2:[a-z0-9-]+:\d{12}:(instance|volume)/[\w-]+"
        r"|rds:[a-z0-9-]+:\d{12}:(db|cluster):[\w-]+"
        r"|dynamodb:[a-z0-9-]+:\d{12}:table/[\w.-]+)$"
    ),
]
Word = Annotated[str, StringConstraints(pattern=r"^[\w.:@+=-]{1,60}$")]


class BackUpNow(_Trigger):
    """Take recovery points of a whole plan, or of the named resources of any plan, now."""

    trigger: Literal["by-hand"]
    request_id: RequestId
    plan: str
    """Whose retention the points follow."""
    resources: list[ResourceArn] = Field(default=[], max_length=50)
    """At most as many as fit beside a run's facts; empty means all that have chosen the plan."""
    tags: list[Word] = Field(default=[], max_length=4)
    """Words on the points that the `tags` rule of a plan's retention can keep by, e.g.
    `before-migration`.
    """


class Rebuild(_Trigger):
    """Write the catalogue again from the tags of our snapshots."""

    trigger: Literal["rebuild"]
    request_id: RequestId


class RemoveNow(_Trigger):
    """Apply retention now; with `dry_run`, only show what it would do."""

    trigger: Literal["by-hand"]
    request_id: RequestId
    dry_run: bool = False


PointId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class DrillNow(_Trigger):
    """Drill one resource now, whatever is due."""

    trigger: Literal["by-hand"]
    request_id: RequestId
    resource: ResourceArn
    level: Literal["metadata", "blocks", "restore", "check", "exercise"]
    point: PointId | None = None
    """The recovery point's id in the catalogue; the newest one if it is left out."""
    anew: bool = False
    """Compare it with nothing that earlier drills have found: half of the rows are gone, rightly.
    """


class ShowDrills(_Trigger):
    """Choose as a round would now, show it with its estimates, and begin nothing."""

    trigger: Literal["show"]


DrillId = Annotated[
    str,
    StringConstraints(
        pattern=r"^drill#(round#[0-9TZ:-]{17}|by-hand#[\w.-]{1,64})#[0-9a-f]{16}#exercise$"
    ),
]


class SignOffNow(_Trigger):
    """Say how an exercise went."""

    trigger: Literal["sign-off"]
    run: DrillId
    """As its page says."""
    by: str = Field(max_length=200)
    """One of the policy's `sign_off`."""
    passed: bool
    note: str = Field(default="", max_length=400)


class RecoverNow(_Trigger):
    """Restore one resource to a new name beside itself, in earnest: what is made stays."""

    trigger: Literal["by-hand"]
    request_id: RequestId
    level: Literal["real"]
    resource: ResourceArn
    point: PointId | None = None
    """The recovery point's id in the catalogue; the newest one if it is left out."""
    zone: (
        Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+[a-z0-9-]*$")] | None
    ) = None
    """The availability zone of volumes; the original's if it is left out."""


# ── Alarms: in any shape, by any route ────────────────────────────────────────────────────────────


class AlarmsSaid(_Trigger):
    """Whatever an alarm is said by; `watchkeeper.triage.alarms` reads it. Nothing is refused: an
    alarm that cannot be read is one that somebody must look at.
    """

    event: Any

    @model_validator(mode="before")
    @classmethod
    def _whatever(cls, event: Any) -> dict[str, Any]:
        """No RootModel, whose import costs every function 5 ms."""
        return {"event": event}


# ── Per function ──────────────────────────────────────────────────────────────────────────────────


def _kind_of(event: Any) -> str:
    if not isinstance(event, dict):
        return "unknown"
    if "trigger" in event:
        return str(event["trigger"])
    if "Records" in event:
        return "wake"
    return str(event.get("source", "unknown"))


TakeBackupsTrigger = Annotated[
    Annotated[Tick, Tag("tick")]
    | Annotated[Wake, Tag("wake")]
    | Annotated[SnapshotEvent, Tag("aws.ec2")]
    | Annotated[DatabaseSnapshotEvent, Tag("aws.rds")]
    | Annotated[ScriptEvent, Tag("aws.ssm")]
    | Annotated[KeyEvent, Tag("aws.kms")]
    | Annotated[BackUpNow, Tag("by-hand")]
    | Annotated[Rebuild, Tag("rebuild")],
    Discriminator(_kind_of),
]
ExpireBackupsTrigger = Annotated[
    Annotated[Tick, Tag("tick")]
    | Annotated[Wake, Tag("wake")]
    | Annotated[RemoveNow, Tag("by-hand")],
    Discriminator(_kind_of),
]
DrillRestoresTrigger = Annotated[
    Annotated[Tick, Tag("tick")]
    | Annotated[Wake, Tag("wake")]
    | Annotated[DrillNow, Tag("by-hand")]
    | Annotated[SignOffNow, Tag("sign-off")]
    | Annotated[ShowDrills, Tag("show")],
    Discriminator(_kind_of),
]
RecoverResourcesTrigger = Annotated[
    Annotated[Wake, Tag("wake")] | Annotated[RecoverNow, Tag("by-hand")],
    Discriminator(_kind_of),
]


def _kind_of_news(event: Any) -> str:
    """A wake-up is one of our own; everything else is an alarm."""
    if isinstance(event, dict) and event.get("trigger") == "tick":
        return "tick"
    try:
        told = json.loads(event["Records"][0]["Sns"]["Message"])
        return "wake" if told["type"] == RunDue.__name__ else "alarms"
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return "alarms"


TriageIncidentsTrigger = Annotated[
    Annotated[Tick, Tag("tick")]
    | Annotated[Wake, Tag("wake")]
    | Annotated[AlarmsSaid, Tag("alarms")],
    Discriminator(_kind_of_news),
]

# Built when first used: a function pays for its own union, not for everybody's.
_LATER = ConfigDict(defer_build=True)
TakeBackupsMeant = (
    Tick
    | Wake
    | SnapshotEvent
    | DatabaseSnapshotEvent
    | ScriptEvent
    | KeyEvent
    | BackUpNow
    | Rebuild
)
take_backups: TypeAdapter[TakeBackupsMeant] = TypeAdapter(TakeBackupsTrigger, config=_LATER)
expire_backups: TypeAdapter[Tick | Wake | RemoveNow] = TypeAdapter(
    ExpireBackupsTrigger, config=_LATER
)
DrillRestoresMeant = Tick | Wake | DrillNow | SignOffNow | ShowDrills
drill_restores: TypeAdapter[DrillRestoresMeant] = TypeAdapter(DrillRestoresTrigger, config=_LATER)
recover_resources: TypeAdapter[Wake | RecoverNow] = TypeAdapter(
    RecoverResourcesTrigger, config=_LATER
)
TriageIncidentsMeant = Tick | Wake | AlarmsSaid
triage_incidents: TypeAdapter[TriageIncidentsMeant] = TypeAdapter(
    TriageIncidentsTrigger, config=_LATER
)
sweep_runs: TypeAdapter[Tick] = TypeAdapter(Tick)

Accepted = TypeVar("Accepted")
SENTENCE = 500
"""Characters of a refusal; pydantic quotes the input, which can be 256 KB long."""
MOST_PROBLEMS = 5
"""Shown of an event that is not accepted: the first few tell which kind was meant."""


def parse(accepted: TypeAdapter[Accepted], event: Any) -> Accepted:
    """The event as what it is.

    Raises BadTrigger, which sends the event to the dead-letter queue: nothing is lost.
    """
    try:
        return accepted.validate_python(event)
    except ValidationError as error:
        raise BadTrigger(_explained(error, event)) from error


def _explained(error: ValidationError, event: Any) -> str:
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False)[:MOST_PROBLEMS]
    ]
    # Both quote the event, and an event can hold anything.
    said, began = quoted("; ".join(problems), SENTENCE), quoted(str(event))
    return f"event not accepted: {said}. It began {began}; see events/"
