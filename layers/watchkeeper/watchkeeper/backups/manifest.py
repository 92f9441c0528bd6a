"""The document beside a recovery point: which settings its resource had, which a restore loses, and
what a restore is to be compared with.

Written once, before the recovery point is asked for. Pure: bytes in, bytes out.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from watchkeeper import naming
from watchkeeper.backups.model import Asked, Kind, Target
from watchkeeper.backups.sample import Sample
from watchkeeper.quoting import quoted

SCHEMA = 1
"""Fields are added, never renamed, so every schema can be read as the first."""

Value = TypeVar("Value", str, int, bool, list[Any], dict[str, Any])


class BadManifest(ValueError):
    """What lies beside a recovery point is no manifest; the message says what is wrong with it."""


@dataclass(frozen=True)
class Manifest:
    """What was written down about one recovery point."""

    point: str
    resource: str
    """An ARN."""
    kind: Kind
    run: str
    plan: str
    asked_at: datetime
    """When it was written, which is before any attempt to make the recovery point."""
    words: tuple[str, ...] = ()
    """Of whoever asked by hand."""
    key: str = ""
    """The ARN of the KMS key that the resource was encrypted with; empty if with none of its own.
    """
    settings: Mapping[str, object] = field(default_factory=dict)
    """As the service showed them, in its own words."""
    sample: Sample | None = None
    """Of the items of a table; None of what has no items, or was written down before they were."""

    @classmethod
    def about(
        cls, target: Target, asked: Asked, now: datetime, key: str, settings: Mapping[str, object]
    ) -> "Manifest":
        """What is written down before a recovery point of `target` is asked for."""
        return cls(
            point=naming.point_id(asked.run, target.arn),
            resource=target.arn,
            kind=target.kind,
            run=asked.run,
            plan=asked.plan,
            asked_at=now,
            words=tuple(asked.words.split()),
            key=key,
            settings=settings,
        )

    def to_json(self) -> bytes:
        """The same bytes for the same manifest. Raises TypeError for what JSON cannot hold."""
        document = {
            "schema": SCHEMA,
            "point": self.point,
            "resource": self.resource,
            "kind": self.kind.value,
            "run": self.run,
            "plan": self.plan,
            "words": list(self.words),
            "key": self.key,
            "asked_at": naming.instant(self.asked_at),
            "settings": _plain(self.settings),
            **({"sample": _plain(asdict(self.sample))} if self.sample is not None else {}),
        }
        # Indented: an auditor opens it as it is.
        return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode()

    @classmethod
    def of(cls, document: bytes) -> "Manifest":
        """Fields of newer versions are left out. Raises BadManifest."""
        try:
            found = json.loads(document)
        except ValueError as error:
            raise BadManifest(f"it is no JSON ({error})") from error
        if not isinstance(found, dict):
            raise BadManifest(f"it is no JSON object but {quoted(found)}")
        try:
            kind = Kind(_field(found, "kind", str))
            asked_at = naming.parse_instant(_field(found, "asked_at", str))
            sample = _sample(_field(found, "sample", dict)) if "sample" in found else None
        except BadManifest:
            raise
        except ValueError as error:  # no kind, or no time, that this version knows
            raise BadManifest(str(error)) from error
        return cls(
            point=_field(found, "point", str),
            resource=_field(found, "resource", str),
            kind=kind,
            run=_field(found, "run", str),
            plan=_field(found, "plan", str),
            asked_at=asked_at,
            words=tuple(str(word) for word in _field(found, "words", list)),
            key=_field(found, "key", str),
            settings=_field(found, "settings", dict),
            sample=sample,
        )


def digest(document: bytes) -> str:
    """What the catalogue remembers of a manifest: the SHA-256, in hex, of its bytes as stored."""
    return hashlib.sha256(document).hexdigest()


def _field(found: Mapping[str, object], name: str, kind: type[Value]) -> Value:
    value = found.get(name)
    if not isinstance(value, kind):
        raise BadManifest(f"its {name} is {quoted(value)} where a {kind.__name__} is expected")
    return value


def _sample(found: Mapping[str, object]) -> Sample:
    items = _field(found, "items", dict)
    return Sample(
        items={key: _field(items, key, str) for key in items},
        looked_at=_field(found, "looked_at", int),
        changed=_field(found, "changed", int),
        is_whole=_field(found, "is_whole", bool),
        at=naming.parse_instant(_field(found, "at", str)) if found.get("at") else None,
        count=_field(found, "count", int),
        size=_field(found, "size", int),
        why=_field(found, "why", str),
    )


def _plain(value: object) -> object:
    """`value` as JSON without fractions, whose digits depend on who writes them: a number that is
    not whole becomes text.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float() | Decimal():
            exact = Decimal(str(value))
            whole = exact.is_finite() and exact == exact.to_integral_value()
            return int(exact) if whole else str(exact)
        case datetime():
            return naming.instant(value)
        case Mapping():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case Iterable():
            return [_plain(inner) for inner in value]
        case _:
            raise TypeError(f"a manifest cannot hold {value!r:.80}")
