"""What changed on some resources and on what is next to them, from the audit trail. Pure.

The second question of every incident, and the one that ends most of them: who deployed, opened,
resized or reconfigured what, just before?
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from watchkeeper.quoting import quoted
from watchkeeper.triage.trail import LONG_AGO, Event, Record, is_like, records


class Kind(StrEnum):
    """What kind of thing changed, for people to look through."""

    DEPLOY = "deploy"
    NETWORK = "network"
    ACCESS = "access"
    SCALING = "scaling"
    CONFIGURATION = "configuration"
    LIFECYCLE = "lifecycle"
    DATA = "data"
    OTHER = "other"


class Actor(StrEnum):
    """Who is behind a change."""

    OURS = "watchkeeper"
    CODE = "infrastructure as code"
    AWS = "an AWS service"
    SOMEBODY = "a person or program"


@dataclass(frozen=True)
class Automation:
    """How to tell who is not a person. ARNs may hold `*`; of a session it is its role's."""

    ours: Collection[str] = ()
    """Principals of our own."""
    code: Collection[str] = ()
    """Principals that apply infrastructure as code."""
    tags: Mapping[str, str] = field(
        default_factory=lambda: {"aws:cloudformation:stack-name": "*", "terraform": "true"}
    )
    """Tags in a request that say so, in lower case; `*` is any value."""
    agents: Collection[str] = ("terraform", "opentofu", "pulumi", "cloudformation", "aws-cdk",
                               "crossplane", "ansible", "serverless", "aws-sam-cli")  # fmt: skip
    """Words in user agents, in lower case. Anybody can claim one: it is told, not relied upon."""


@dataclass(frozen=True)
class Change:
    """Something that was done to a resource, and worked."""

    at: datetime
    kind: Kind
    action: str
    """Service and operation."""
    resource: str
    """The one of the given resources that it is about."""
    via: str
    """What it was done to, where that is only next to the resource; else ""."""
    actor: Actor
    who: str
    why: str
    """A sentence for people."""
    event_id: str


def changed(
    events: Iterable[Any],
    resources: Collection[str],
    automation: Automation | None = None,
) -> list[Change]:
    """The changes on the resources and on their neighbours, the oldest first.

    Neighbours are what the events themselves show beside a resource: a volume that was attached to
    it, its security groups, the role it was given. The caller adds those it knows to `resources`.

    Args:
        events: Records of CloudTrail, as for `suspicious`.
        resources: ARNs or ids of EC2.
        automation: How to tell who is not a person.
    """
    automation = automation or Automation()
    wanted = [Named.of(one) for one in dict.fromkeys(resources) if one]
    writes = [
        (record, frozenset(names_in(record.event)))
        for record in records(events)
        if is_change(record.event)
    ]
    beside = _neighbours(writes, wanted)
    changes = []
    for record, names in writes:
        resource = next((one.text for one in wanted if one.is_in(record, names)), "")
        via = "" if resource else min((one for one in names if one in beside), default="")
        if resource or via:
            changes.append(_change(record, resource or beside[via], via, automation))
    return changes


# ── What an event is about ────────────────────────────────────────────────────────────────────────

READS = re.compile(
    "Get|List|Describe|Head|Lookup|Search|Query|Scan|Check|Test|Validate|BatchGet|BatchCheck|"
    "Simulate|Select|Preview|Estimate|Assume|Decrypt|Encrypt|Generate|Sign|ReEncrypt|Verify|Poll|"
    "Receive|Download|Filter|StartQuery|StartLiveTail"
)
"""Names of operations that change nothing, also where an event does not say that it only reads."""

CHANGES_NOTHING = frozenset({
    "ConsoleLogin", "SwitchRole", "CreateLogStream", "PutLogEvents", "PutMetricData",
    "UpdateInstanceInformation", "UpdateInstanceAssociationStatus", "PutInventory",
    "PutComplianceItems", "SendSSHPublicKey", "StartSession", "TerminateSession", "ResumeSession",
    "CreateGrant", "RetireGrant", "OpenDataChannel", "OpenControlChannel", "CreateNetworkInterface",
    "SharedSnapshotVolumeCreated", "DeleteNetworkInterface", "RegisterManagedInstance",
})  # fmt: skip
"""Writes that leave the resource as it was, or that running things do by themselves."""

ID = re.compile(r"(?:i|vol|snap|sg|rtb|acl|eni|lt|eipalloc|nat|igw|tgw|asg|fs|ami)-[0-9a-f]{8,17}")
HUBS = ("ami-", "snap-")
"""Ids that many resources share without being next to each other."""

DEEPEST, MOST_NAMES = 12, 400
"""Levels and names of one event that are looked at: real ones stay far below."""


def is_change(event: Event) -> bool:
    """Whether it is a write, and worked."""
    name = event.get("eventName")
    if not isinstance(name, str) or event.get("errorCode") or event.get("readOnly") is True:
        return False
    return not READS.match(name) and name not in CHANGES_NOTHING


def names_in(event: Event) -> Iterator[str]:
    """Every text in its request, answer and resources that may name something."""
    left = [MOST_NAMES]
    for part in ("requestParameters", "responseElements", "resources"):
        yield from _names(event.get(part), left, 0)


def _names(value: Any, left: list[int], depth: int) -> Iterator[str]:
    if depth > DEEPEST or left[0] <= 0:
        return
    if isinstance(value, str):
        left[0] -= 1
        if 0 < len(value) <= 512:  # noqa: PLR2004 (no ARN is longer)
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _names(one, left, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _names(one, left, depth + 1)


@dataclass(frozen=True)
class Named:
    """A resource, and the shorter name by which its own service calls it."""

    text: str
    service: str = ""
    region: str = ""
    account: str = ""
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> "Named":
        parts = text.split(":", 5)
        if parts[0] != "arn" or len(parts) < 6:  # noqa: PLR2004 (arn:partition:service:…)
            return cls(text, names=frozenset({text}))
        _, _, service, region, account, name = parts
        short = {name, re.split("[:/]", name, maxsplit=1)[-1], re.split("[:/]", name)[-1]}
        return cls(text, service, region, account, frozenset(short))

    def is_in(self, record: Record, names: Collection[str]) -> bool:
        """Whether the event names it: by its ARN, by an id that only one thing has, or by its name
        in its own service, account and Region.
        """
        if self.text in names:
            return True
        short = self.names & (names if isinstance(names, frozenset) else frozenset(names))
        if any(ID.fullmatch(one) for one in short):
            return True
        return bool(short) and self._is_at_home(record.event)

    def _is_at_home(self, event: Event) -> bool:
        service = str(event.get("eventSource") or "").removesuffix(".amazonaws.com")
        here = (
            (self.region, event.get("awsRegion")), (self.account, event.get("recipientAccountId"))
        )  # fmt: skip
        return service in SERVICES.get(self.service, (self.service,)) and all(
            not ours or not theirs or ours == theirs for ours, theirs in here
        )


SERVICES = {
    "cloudwatch": ("monitoring",),
    "ecs": ("ecs", "application-autoscaling"),
    "dynamodb": ("dynamodb", "application-autoscaling"),
    "rds": ("rds", "application-autoscaling"),
    "lambda": ("lambda", "application-autoscaling"),
    "ec2": ("ec2", "autoscaling", "ssm"),
}
"""Per service of an ARN, the event sources that call its resources by their short names, where it
is not the service itself alone.
"""


def _neighbours(
    writes: Iterable[tuple[Record, Collection[str]]], wanted: Collection[Named]
) -> dict[str, str]:
    """Per id or ARN beside a resource in a change of it: the resource."""
    beside: dict[str, str] = {}
    for record, names in writes:
        for one in wanted:
            if one.is_in(record, names):
                for name in names:
                    unique = ID.fullmatch(name) or name.startswith("arn:")
                    if unique and not name.startswith(HUBS) and name not in one.names:
                        beside.setdefault(name, one.text)
    return {name: of for name, of in beside.items() if all(name != one.text for one in wanted)}


# ── What kind of change, and whose ────────────────────────────────────────────────────────────────

KINDS = {
    Kind.ACCESS: "^iam |^sso|^kms |^organizations |policy|permission|grant|secret|certificate|"
    "trust|loginprofile|accesskey|snapshotattribute|imageattribute|masterpassword",
    Kind.NETWORK: "securitygroup|networkacl|route|gateway|subnet|vpc|address|targetgroup|listener|"
    "loadbalancer|^elasticloadbalancing |^route53|peering|targets$|distribution",
    Kind.DEPLOY: "^codedeploy |^cloudformation |^codepipeline |functioncode|publishversion|alias|"
    "^ecs (updateservice|registertask|createservice|runtask)|deploy|layer|^ecr |applicationversion|"
    "environment|launchtemplate|functionconfiguration|^ssm send|userdata|startautomation|"
    "executechangeset",
    Kind.SCALING: "autoscaling|scal|desiredcapacity|concurrency|replicacount|shard",
    Kind.LIFECYCLE: " (start|stop|reboot|terminate|run)(instances|db|$)|failover|reboot|promote",
    Kind.DATA: "delete(table|bucket|db|volume|snapshot|object|queue|stream|cache|filesystem)|"
    "restore|snapshot|backup|purge|truncate|lifecycle|versioning|import|export",
    Kind.CONFIGURATION: "parameter| (modify|update|put|set|attach|detach|associate|disassociate|"
    "enable|disable|change|reset|apply|create|delete|add|remove|tag|untag|register|deregister|"
    "switch)",
}
"""The first whose words are in "service operation", in lower case, is the kind of a change."""


@lru_cache(maxsize=1024)
def kind_of(action: str) -> Kind:
    """The kind of "service Operation"."""
    text = action.lower()
    return next((kind for kind, words in KINDS.items() if re.search(words, text)), Kind.OTHER)


def _change(record: Record, resource: str, via: str, automation: Automation) -> Change:
    actor = actor_of(record, automation)
    where = f" on {quoted(via)}, next to it" if via else ""
    at = "" if record.at == LONG_AGO else f" at {record.at:%Y-%m-%d %H:%M:%S} UTC"
    action = record.action
    by = "" if actor is Actor.SOMEBODY else f" ({actor})"
    shown = quoted(action).strip('"')
    told = "; ".join(_settings(record.event.get("requestParameters")))
    why = f"{quoted(record.who or 'somebody')}{by} did {shown}{where}{at}"
    return Change(
        record.at, kind_of(action), action, resource, via, actor, record.who,
        f"{why} ({told})" if told else why, record.id,
    )  # fmt: skip


UNTOLD = re.compile(
    "password|secret|token|credential|privatekey|userdata|policy|document", re.IGNORECASE
)
"""Parameters that hold secrets, or more than a sentence can."""

MOST_TOLD = 4


def _settings(parameters: Any) -> list[str]:
    """What was asked for, in the first few parameters that are plain: `allocatedStorage 100`."""
    if not isinstance(parameters, Mapping):
        return []
    plain = (
        (name, one.get("value") if isinstance(one, Mapping) and len(one) == 1 else one)
        for name, one in parameters.items()
        if isinstance(name, str) and not UNTOLD.search(name)
    )
    told = [
        f"{quoted(name, 40)[1:-1]} {quoted(one)}"
        for name, one in plain
        if isinstance(one, str | int | float) and one != ""
    ]
    return told[:MOST_TOLD]


def actor_of(record: Record, automation: Automation) -> Actor:
    """Who is behind an event: by principal first, then by who called for it, by tags in the
    request, and by what the program calls itself.
    """
    event, identity = record.event, record.event.get("userIdentity")
    identity = identity if isinstance(identity, Mapping) else {}
    agent = str(event.get("userAgent") or "").lower()
    called_by = str(identity.get("invokedBy") or "").lower()
    if is_like(record.who, automation.ours):
        return Actor.OURS
    if is_like(record.who, automation.code) or called_by.startswith("cloudformation."):
        return Actor.CODE
    if identity.get("type") == "AWSService" or called_by or "/aws-service-role/" in record.who:
        return Actor.AWS
    if _is_tagged(event, automation) or any(one in agent for one in automation.agents):
        return Actor.CODE
    return Actor.SOMEBODY


def _is_tagged(event: Event, automation: Automation) -> bool:
    return any(
        automation.tags.get(key.lower()) in ("*", value.lower())
        for key, value in _tags(event.get("requestParameters"), 0)
    )


def _tags(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        pair = value.get("key", value.get("Key")), value.get("value", value.get("Value"))
        if isinstance(pair[0], str):
            yield pair[0], str(pair[1])
        for name, one in value.items():
            if name in ("tags", "Tags") and isinstance(one, Mapping):
                yield from ((str(key), str(text)) for key, text in one.items())
            yield from _tags(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _tags(one, depth + 1)
