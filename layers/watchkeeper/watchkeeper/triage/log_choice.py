"""Which log groups an incident is read from, and how much came into each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watchkeeper.aws.errors import AwsError, Denied
from watchkeeper.aws.log_events import STANDARD, Group, Logs, Volume
from watchkeeper.quoting import quoted
from watchkeeper.triage.gathered import Unchecked
from watchkeeper.triage.log_plan import MOST_GROUPS, MOST_NAMES, SMALL, Named, missing, named
from watchkeeper.triage.looking import Asked
from watchkeeper.triage.phrases import short

UNREADABLE = "DELIVERY"
"""The class of log groups that only pass messages on."""
LONGEST_NAME = 200
"""Characters of a log group's name that are shown."""
SHOWN = 3
"""Names in a sentence about groups that were left out."""


@dataclass
class Chosen:
    """A log group that is looked at."""

    group: Group
    resources: tuple[str, ...]
    """ARNs of those whose log it is."""
    volume: Volume | None = None
    """What came in; None if it is unknown."""

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def size(self) -> float | None:
        """Bytes that came in."""
        return sum(value for _, value in self.volume.bytes) if self.volume else None

    @property
    def is_large(self) -> bool:
        """Or of a class that only Logs Insights can read."""
        return self.group.kind != STANDARD or (self.size or 0.0) > SMALL

    @property
    def said(self) -> str:
        """The log group and whose it is, completing "could not check …"."""
        whose = ", ".join(short(arn) for arn in self.resources)
        return f"the logs {quoted(self.name, LONGEST_NAME)}" + (f" of {whose}" if whose else "")


class Choice:
    """Finds the groups of one look, and notes what it could not find."""

    def __init__(self, logs: Logs, account: str) -> None:
        self.logs = logs
        self.account = account
        """Whose logs these are; "" if that is unknown."""
        self.unchecked: list[Unchecked] = []

    def measured(self, asked: Asked) -> list[Chosen]:
        """At most MOST_GROUPS that exist, with what came into each."""
        chosen = self._chosen(asked)
        try:
            names = [one.name for one in chosen]
            span = asked.span
            volumes = self.logs.volumes(names, span.before, span.until) if names else {}
        except AwsError as error:
            self._could_not("how much came into the logs", error.quoted)
            return chosen
        for one in chosen:
            one.volume = volumes.get(one.name)
        return chosen

    def _could_not(self, what: str, why: str) -> None:
        self.unchecked.append(Unchecked(what, why))

    def _chosen(self, asked: Asked) -> list[Chosen]:
        names, refused = named(asked, self.logs.region, self.account)
        for name, why in refused:
            self._could_not(f"the log group {quoted(name, LONGEST_NAME)}", why)
        self._left_out([one.name for one in names[MOST_NAMES:]], MOST_NAMES, "looked for")
        names = names[:MOST_NAMES]
        found: dict[str, Chosen] = {}
        exist: set[str] = set()
        for one, groups in self._existing(names):
            exist.add(one.name)
            for group in groups:
                before = found[group.name].resources if group.name in found else ()
                found[group.name] = Chosen(group, tuple(dict.fromkeys((*before, *one.resources))))
        self._say_missing(asked, names, exist)
        readable = [one for one in found.values() if self._is_readable(one)]
        self._left_out([one.name for one in readable[MOST_GROUPS:]], MOST_GROUPS, "read")
        return readable[:MOST_GROUPS]

    def _existing(self, names: Sequence[Named]) -> Iterator[tuple[Named, list[Group]]]:
        """Those that exist, with their groups; and, with none, those that cannot be asked for."""
        for number, one in enumerate(names):
            try:
                groups = self._groups(one.name)
            except Denied as error:
                # It is asked of the list as a whole: the other names would be denied as well.
                shown = ", ".join(dict.fromkeys(_whose(each) for each in names[number:]))
                self._could_not(f"the logs of {shown}", error.quoted)
                yield from ((each, []) for each in names[number:])
                return
            except AwsError as error:
                self._could_not(f"the logs of {_whose(one)}", error.quoted)
                yield one, []
            else:
                if groups:
                    yield one, groups

    def _groups(self, name: str) -> list[Group]:
        if name.endswith("*"):
            return self.logs.groups(name.removesuffix("*"), MOST_GROUPS)
        return [group for group in self.logs.groups(name, 1) if group.name == name]

    def _say_missing(self, asked: Asked, names: Sequence[Named], exist: set[str]) -> None:
        for resource in asked.resources:
            gone = missing(resource, names, exist)
            if gone:
                looked_for = ", ".join(quoted(one, LONGEST_NAME) for one in gone)
                what = f"the logs of {short(resource.arn)}"
                self._could_not(what, f"there is no such log group: looked for {looked_for}")
        for one in names:
            if not one.resources and one.name not in exist:
                self._could_not(
                    f"the log group {quoted(one.name, LONGEST_NAME)}", "it is not there"
                )

    def _is_readable(self, one: Chosen) -> bool:
        if one.group.kind != UNREADABLE:
            return True
        self._could_not(one.said, "its class only delivers messages, and nothing can read it")
        return False

    def _left_out(self, names: Sequence[str], most: int, done: str) -> None:
        if names:
            shown = ", ".join(quoted(one, LONGEST_NAME) for one in names[:SHOWN])
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            why = f"{most} log groups are {done} for an incident, those of its alarms first"
            self._could_not(f"the log groups {shown}{more}", why)


def _whose(one: Named) -> str:
    return ", ".join(short(arn) for arn in one.resources) or quoted(one.name, LONGEST_NAME)
