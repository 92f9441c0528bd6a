"""The resources that alarms are about, what is beside them, whose they are, where they log.

Tags come from AWS's index of tags; what it cannot say is written down, and the rest goes on. Tags
are anybody's text: an owner is shown, names of log groups count if they are some, and a value is
only held against equal ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

from watchkeeper.aws.errors import AwsError
from watchkeeper.quoting import quoted
from watchkeeper.triage.alarm_model import Alarm
from watchkeeper.triage.alarm_resources import Place, arns_of
from watchkeeper.triage.gathered import Resource, Unchecked
from watchkeeper.triage.log_groups import groups_of
from watchkeeper.triage.looking import MOST_RESOURCES

# Reading a policy costs 20 ms of a cold start; who has one has read it.
if TYPE_CHECKING:
    from watchkeeper.triage.policy import TriagePolicy

Tags = Mapping[str, str]

LONGEST_OWNER = 64
"""Characters: a team's name, or a mail address."""
MOST_ASKED = 6
"""Values of tags whose other resources are asked for at one look."""
MOST_NAMED = 3
"""Things of a kind that are named where something is said of all of them."""
SCALED_BY = "aws:autoscaling:groupName"
"""Auto Scaling tags its instances so; nobody else can."""
_GROUP_NAME = ":autoScalingGroupName/"

NEIGHBOURS = (
    "rds:db:", "rds:cluster:", "lambda:function:", "ecs:service/", "dynamodb:table/",
    "elasticloadbalancing:loadbalancer/", "apigateway:/", "states:stateMachine:", "sqs:",
    "elasticache:cluster:", "elasticache:replicationgroup:", "kinesis:stream/", "eks:cluster/",
    "ec2:instance/", "elasticloadbalancing:targetgroup/", "sns:", "es:domain/",
    "firehose:deliverystream/", "elasticfilesystem:file-system/", "ec2:natgateway/",
)  # fmt: skip
"""What is looked at because of a shared tag, the likeliest causes first. Snapshots, roles, keys and
alarms carry the same tags, and have nothing to say.
"""


class TagIndex(Protocol):
    """What is asked of tags. `watchkeeper.aws.tagged` asks AWS."""

    def of(self, arns: Sequence[str]) -> Mapping[str, Tags]: ...
    def sharing(self, key: str, value: str) -> tuple[Mapping[str, Tags], bool]: ...


Described = Callable[[Sequence[str]], Sequence[Alarm]]
"""Alarms by name, as they are now."""


@dataclass(frozen=True)
class Resourcing:
    """A `looking.Resourced`."""

    policy: "TriagePolicy"
    index: TagIndex
    ours: Place | tuple[str, str, str] | None = None
    """Partition, Region and account of the index; what is elsewhere has no tags in it."""
    described: Described | None = None
    """For the children of composite alarms that are not among the alarms; without it, what these
    are about is not known.
    """

    def __call__(self, alarms: Sequence[Alarm]) -> tuple[Sequence[Resource], Sequence[Unchecked]]:
        look = _Look(self.policy, self.index, Place(*self.ours) if self.ours else None)
        look.take([*alarms, *self._children(alarms, look)])
        look.find_neighbours()
        return look.resources(), look.unchecked

    def _children(self, alarms: Sequence[Alarm], look: "_Look") -> Sequence[Alarm]:
        known = {one.arn for one in alarms} | {one.name for one in alarms}
        children = dict.fromkeys(child for one in alarms for child in one.children)
        missing = [child for child in children if child not in known]
        if not missing:
            return ()
        what = f"what the composite alarms are about: {_some(map(_alarm_name, missing))}"
        if self.described is None:
            look.unchecked.append(Unchecked(what, "their children are not among the alarms"))
            return ()
        try:
            return self.described([_alarm_name(child) for child in missing])
        except AwsError as error:
            look.unchecked.append(Unchecked(what, error.quoted))
            return ()


@dataclass
class _Look:
    policy: "TriagePolicy"
    index: TagIndex
    ours: Place | None
    unchecked: list[Unchecked] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    """Why, by ARN."""
    tags: dict[str, Tags] = field(default_factory=dict)

    def take(self, alarms: Sequence[Alarm]) -> None:
        """The alarms' own, one of each alarm at a time: none may crowd out the others."""
        found = [arns_of(alarm, self.ours) for alarm in alarms]
        turns = (arn for turn in zip_longest(*found) for arn in turn if arn is not None)
        own = list(dict.fromkeys(turns))
        self.own = own[:MOST_RESOURCES]
        self._left_out(own[MOST_RESOURCES:], "of the alarms")
        names = [
            alarm.name
            for alarm, arns in zip(alarms, found, strict=True)
            if not arns and not alarm.children
        ]
        if names:
            what = f"which resources the alarms {_some(names)} are about"
            why = "what they look at does not name any that is known here"
            self.unchecked.append(Unchecked(what, why))

    def find_neighbours(self) -> None:
        """By the policy's calls, then what an Auto Scaling group runs, then by shared tags."""
        for arn in self.own:
            for callee in self.policy.called_by(arn):
                self.beside.setdefault(callee, f"{_short(arn)} calls it")
            for caller in self.policy.callers_of(arn):
                self.beside.setdefault(caller, f"it calls {_short(arn)}")
        self._read_tags([*self.own, *self.beside])
        for arn, why in self._sharing():
            self.beside.setdefault(arn, why)
        for arn in self.own:
            self.beside.pop(arn, None)

    def resources(self) -> list[Resource]:
        room = MOST_RESOURCES - len(self.own)
        neighbours = list(self.beside)
        self._left_out(neighbours[room:], "beside them")
        return [self._resource(arn) for arn in [*self.own, *neighbours[:room]]]

    def _resource(self, arn: str) -> Resource:
        tags = self.tags.get(arn, {})
        owner = clean_owner(tags.get(self.policy.owner_tag, "")) or self.policy.owner_of(arn)
        groups = groups_of(arn, tags, self.policy.groups_of(arn))
        return Resource(arn, dict(sorted(tags.items())), owner, self.beside.get(arn, ""), groups)

    def _left_out(self, arns: Sequence[str], which: str) -> None:
        if arns:
            what = f"{len(arns)} more resources {which}: {_some(map(_short, arns))}"
            why = f"{MOST_RESOURCES} are looked at, and no more"
            self.unchecked.append(Unchecked(what, why))

    # ── Tags ──────────────────────────────────────────────────────────────────────────────────────

    def _read_tags(self, arns: Iterable[str]) -> None:
        asked: list[str] = []
        elsewhere: list[str] = []
        for arn in dict.fromkeys(arns):
            if "*" not in arn:
                (asked if self._is_here(arn) else elsewhere).append(arn)
        if elsewhere:
            what = f"the tags of {_some(map(_short, elsewhere))}"
            self.unchecked.append(Unchecked(what, "they are in another account or Region"))
        if not asked:
            return
        try:
            self.tags |= self.index.of(asked)
        except AwsError as error:
            what = f"the tags of {_some(map(_short, asked))}"
            self.unchecked.append(Unchecked(what, error.quoted))

    def _is_here(self, arn: str) -> bool:
        parts = arn.split(":", 5)
        return self.ours is None or (
            parts[3] in ("", self.ours.region) and parts[4] in ("", self.ours.account)
        )

    def _sharing(self) -> Iterator[tuple[str, str]]:
        """Others with the same tags, and why; the likeliest causes first."""
        found: list[tuple[int, int, str, str]] = []
        asked = dict.fromkeys([*self._groups(), *self._together()])
        for order, (key, value) in enumerate(list(asked)[:MOST_ASKED]):
            why = f"its tag {key} is {quoted(value)} as well"
            if key == SCALED_BY:
                why = f"the Auto Scaling group {quoted(value)} runs it"
            others = self._others(key, value)
            found += [(_rank(arn), order, arn, why) for arn in others]
        for rank, _, arn, why in sorted(found):
            if rank < len(NEIGHBOURS):
                yield arn, why

    def _groups(self) -> Iterator[tuple[str, str]]:
        for arn in self.own:
            _, mark, name = arn.partition(_GROUP_NAME)
            if mark and self._is_here(arn):
                yield SCALED_BY, name

    def _together(self) -> Iterator[tuple[str, str]]:
        for key in self.policy.together_tags:
            for arn in self.own:
                value = self.tags.get(arn, {}).get(key, "")
                if value:
                    yield key, value

    def _others(self, key: str, value: str) -> Iterable[str]:
        what = f"what else has the tag {key} = {quoted(value)}"
        try:
            found, is_all = self.index.sharing(key, value)
        except AwsError as error:
            self.unchecked.append(Unchecked(what, error.quoted))
            return ()
        if not is_all:
            why = f"more than {len(found)} resources have it"
            self.unchecked.append(Unchecked(f"all of {what}", why))
        self.tags = {**found, **self.tags}
        return found


def clean_owner(text: str) -> str:
    """What can be printed of it, on one line. Still anybody's text: escape it where shown."""
    printed = "".join(one if one.isprintable() else " " for one in text[: 4 * LONGEST_OWNER])
    return " ".join(printed.split())[:LONGEST_OWNER].rstrip()


def _rank(arn: str) -> int:
    """Of its kind among NEIGHBOURS; their number if it is none."""
    parts = arn.split(":", 5)
    what = f"{parts[2]}:{parts[5]}" if len(parts) > 5 else ""  # noqa: PLR2004  (of an ARN)
    kinds = (at for at, kind in enumerate(NEIGHBOURS) if what.startswith(kind))
    return next(kinds, len(NEIGHBOURS))


def _short(arn: str) -> str:
    """What people call it: the last part of its ARN."""
    return arn.split(":", 5)[-1]


def _alarm_name(child: str) -> str:
    return child.partition(":alarm:")[2] or child


def _some(names: Iterable[str]) -> str:
    """A few of them, quoted: they are anybody's text."""
    listed = list(names)
    shown = ", ".join(quoted(one) for one in listed[:MOST_NAMED])
    more = len(listed) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
