"""Chains of evidence: whether a document was altered, removed or slipped in, and which one first.

Every document names the digest of the one before it. The newest has nobody to vouch for it but who
knows its digest: the table, or a printed page. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from watchkeeper import naming
from watchkeeper.drills.evidence import BadEvidence, digest, read_field, read_object
from watchkeeper.quoting import quoted


@dataclass(frozen=True)
class Link:
    """What a document of any version says of its place in a chain."""

    resource: str
    run: str
    sequence: int
    previous: str

    @classmethod
    def of(cls, document: bytes) -> Self:
        """Raises BadEvidence."""
        found = read_object(document)
        resource = read_field(found, "resource", str)
        try:
            resource.encode()
        except UnicodeEncodeError as error:  # JSON can spell halves of characters
            raise BadEvidence(f"its resource is no text but {quoted(resource)}") from error
        return cls(
            resource=resource,
            run=read_field(found, "run", str),
            sequence=read_field(found, "sequence", int),
            previous=read_field(found, "previous", str),
        )


@dataclass(frozen=True)
class Anchor:
    """A document that is known from elsewhere: the table, or a printed page."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class Break:
    """Where a chain stops being evidence."""

    sequence: int
    why: str

    def __str__(self) -> str:
        return f"document {self.sequence} {self.why}"


@dataclass(frozen=True)
class _Seen:
    digest: str
    previous: str = ""
    problem: str = ""
    """What is wrong with it by itself."""


def verify_chain(
    documents: Iterable[tuple[int, bytes]], chain: str, anchor: Anchor | None = None
) -> Break | None:
    """The first break, or None. `documents` come with the numbers that they are stored under, and
    `chain` is the short id of their resource.

    The newest document has no successor to vouch for it, and those removed after it none to miss
    them: for that there is `anchor`. Documents that are newer than it may follow.
    """
    seen: dict[int, _Seen] = {}
    for number, document in documents:
        twice = _Seen("", problem="is there twice")
        seen[number] = twice if number in seen else _see(number, document, chain)
    for number in range(1, max([*seen, anchor.sequence if anchor else 0, 0]) + 1):
        if found := _break_at(number, seen, anchor):
            return found
    stray = [number for number in seen if number < 1]
    return Break(min(stray), "is none: they are numbered from 1") if stray else None


def _see(number: int, document: bytes, chain: str) -> _Seen:
    try:
        link = Link.of(document)
    except BadEvidence as error:
        return _Seen(digest(document), problem=f"cannot be read: {error}")
    problem = ""
    if naming.short_id(link.resource) != chain:
        problem = f"is about another resource, {quoted(link.resource)}"
    elif link.sequence != number:
        problem = f"says of itself that it is {link.sequence}"
    elif number == 1 and link.previous:
        problem = "names one before it, and should be the first"
    return _Seen(digest(document), link.previous, problem)


def _break_at(number: int, seen: Mapping[int, _Seen], anchor: Anchor | None) -> Break | None:
    one, witness = seen.get(number), seen.get(number + 1)
    if one is None:
        return Break(number, "is missing")
    if one.problem:
        return Break(number, one.problem)
    known = anchor is not None and anchor.sequence == number
    if anchor is not None and known and one.digest != anchor.digest:
        return Break(number, f"is not the one that is known: its digest is {one.digest}")
    if witness is None or witness.problem or witness.previous == one.digest:
        return None
    if known:
        return Break(number + 1, f"does not continue document {number}, which is as it is known")
    return _blame(number, witness, seen.get(number + 2), anchor)


def _blame(number: int, witness: _Seen, after: _Seen | None, anchor: Anchor | None) -> Break:
    """Document `number` is not what the next one, `witness`, says: which of them was altered?

    The witness counts if what stands after it, or the anchor, vouches for it in turn.
    """
    if anchor is not None and anchor.sequence == number + 1:
        vouched = anchor.digest
    elif after is not None and not after.problem:
        vouched = after.previous
    else:
        return Break(number, f"is not what document {number + 1} says: one of them was altered")
    if vouched == witness.digest:
        return Break(number, f"was altered: its digest is not what document {number + 1} says")
    return Break(number + 1, "was altered: neither the one before nor what follows agrees with it")
