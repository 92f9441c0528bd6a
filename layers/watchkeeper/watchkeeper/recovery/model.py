"""What recoveries are about: what is restored, with which settings, and what is left to do."""

import json
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import RecoveryPoint, Service
from watchkeeper.drills.restoring import Stands

CAPABILITY = "recover"
"""The first word of the ids of its runs."""
MOST_TAGS = 49
"""Of one thing: EC2, RDS and DynamoDB take fifty, and one is for the name that EC2's console shows.
"""
NOT_COPIED = ("aws:", "watchkeeper:")
"""AWS sets the first, and takes them of nobody else; the second would say what is not so."""

Settings = Mapping[str, Any]
"""As JSON can hold them, in the words of their service; the shape is its kind's."""
Tags = Mapping[str, str]


@dataclass(frozen=True)
class Recovering:
    """One recovery: of what, under which name."""

    name: str
    """Of all that is made for it, in its name or its tag: `naming.recovered_name`."""
    point: RecoveryPoint
    settings: Settings
    """Of the original; empty if nothing tells."""
    tags: Tags
    """`naming.recovered_tags`."""

    def with_originals(self, tags: Tags) -> dict[str, str]:
        """All that something made for it is to be tagged with: ours, and as many of the original's
        as there is room for. Also the one by which a plan has chosen the original: what is
        recovered must not go without backups from the hour it is used.
        """
        room = MOST_TAGS - len(self.tags)
        return {**dict(list(theirs(tags).items())[:room]), **self.tags}


def theirs(tags: Tags) -> dict[str, str]:
    """The owner's own tags, in the order of their names."""
    return {key: tags[key] for key in sorted(tags) if not key.startswith(NOT_COPIED)}


@dataclass(frozen=True)
class Change:
    """A setting to be put back after the restore."""

    name: str
    """As in `Difference.name`."""
    what: str
    """The identifier of what is to be changed."""
    arguments: Settings
    """In the words of the call that changes it."""


@dataclass(frozen=True)
class Difference:
    """A setting that is not as the original's, read back."""

    name: str
    wanted: str
    found: str
    why: str = ""


@dataclass(frozen=True)
class ByHand:
    """Something that a person has to do, or to know."""

    what: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Handover:
    """What a person is given."""

    made: tuple[str, ...]
    """In words, each with its id or ARN."""
    by_hand: tuple[ByHand, ...]
    removal: tuple[str, ...]
    """The commands that remove it, in their order."""


class Recoverer(Protocol):
    """Restores what is of one service. Every method may be called again after an attempt that
    nobody heard of, and then finds what that one has made.
    """

    service: Service
    longest_name: int
    """That the service takes."""

    def original(self, point: RecoveryPoint, zone: str, /) -> Settings:
        """What the original shows now, for a point beside which nothing was written down. `zone` is
        the availability zone that was asked for, if any. Raises NotThere if the original is gone;
        Refused if without it there is no recovery.
        """

    def ask(self, one: Recovering, /) -> str:
        """Ask for all of it. Empty once that was accepted; otherwise what must pass first.

        Raises Refused or NotThere if there will be none.
        """

    def stands(self, one: Recovering, /) -> Stands:
        """Raises NotThere if it was never begun, or somebody has removed it; Refused if what is
        there under its name is somebody else's.
        """

    def found(self, one: Recovering, /) -> Settings:
        """What was restored, in the shape of `Recovering.settings`."""

    def changes(self, one: Recovering, found: Settings, /) -> list[Change]:
        """What can be put back, and is not as it was."""

    def change(self, one: Recovering, change: Change, /) -> str:
        """Empty once it was accepted; otherwise what must pass first. Raises Refused, NotThere."""

    def differences(self, one: Recovering, found: Settings, /) -> list[Difference]:
        """All that is not as it was, but for what `handover` leaves to a person."""

    def handover(self, one: Recovering, /) -> Handover:
        """Of what is there, also if that is half of it."""


# ── Told in words ─────────────────────────────────────────────────────────────────────────────────


def command(*words: object) -> str:
    """A line for a shell, each word of it safe from the shell."""
    return " ".join(shlex.quote(str(word)) for word in words)


def shown(value: object) -> str:
    """Of a setting, for people: JSON, because of `false` and of lists; plain words as they are."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def is_same(wanted: object, found: object) -> bool:
    """Services leave out what is off, or is empty."""
    return wanted == found or (not wanted and not found)


def compared(wanted: Settings, found: Settings, whys: Mapping[str, str]) -> list[Difference]:
    """Setting by setting; `whys` has the reason where there is one, by the setting's first word."""
    return [
        Difference(name, shown(value), shown(found.get(name)), whys.get(name.split()[0], ""))
        for name, value in sorted(wanted.items())
        if not is_same(value, found.get(name))
    ]


def with_numbers(value: Any, names: Collection[str]) -> Any:
    """A manifest has fractions as text; under these names they are numbers again."""
    match value:
        case Mapping():
            return {
                name: float(inner) if name in names and isinstance(inner, str)
                else with_numbers(inner, names)
                for name, inner in value.items()
            }  # fmt: skip
        case list():
            return [with_numbers(inner, names) for inner in value]
        case _:
            return value


# ── Between two looks ─────────────────────────────────────────────────────────────────────────────


def as_written(point: RecoveryPoint, settings: Mapping[str, object]) -> Settings:
    """`settings` as a manifest would give them back."""
    plain = Manifest(
        point=point.id, resource=point.resource, kind=point.kind, run=point.run, plan=point.plan,
        asked_at=point.created_at, settings=settings,
    )  # fmt: skip
    return Manifest.of(plain.to_json()).settings


def noted(differences: Iterable[Difference]) -> str:
    return json.dumps([asdict(one) for one in differences])


def read_differences(text: str) -> Sequence[Difference]:
    return [Difference(**one) for one in json.loads(text)]
