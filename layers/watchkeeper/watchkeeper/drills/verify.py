"""Checks chains of evidence, for operators and auditors who may read the bucket, or were given a
copy of it:

    python -m watchkeeper.drills.verify BUCKET
    python -m watchkeeper.drills.verify BUCKET --resource ARN --anchor 12:3f9d…
    python -m watchkeeper.drills.verify --folder FOLDER

One line per resource. The exit code is 0 if all chains hold, 1 if one is broken or there is none,
and 2 if that could not be checked.
"""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol

from watchkeeper import naming
from watchkeeper.aws.errors import AwsError
from watchkeeper.aws.evidence import EvidenceReader, Stored
from watchkeeper.drills.chain import Anchor, Break, Link, verify_chain
from watchkeeper.drills.evidence import BadEvidence, digest


class Reader(Protocol):
    """Where chains are kept."""

    def chains(self) -> Iterator[list[Stored]]: ...

    def chain(self, resource: str, /) -> list[Stored]: ...

    def read(self, one: Stored, /) -> bytes: ...


class FolderReader:
    """A copy of the bucket. Whether a key was written twice is told by the bucket alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def chains(self) -> Iterator[list[Stored]]:
        for _, chain in groupby(self._found(naming.EVIDENCE), key=lambda one: one.chain):
            yield list(chain)

    def chain(self, resource: str) -> list[Stored]:
        return list(self._found(naming.evidence_chain(naming.short_id(resource))))

    def read(self, one: Stored) -> bytes:
        return (self.folder / one.key).read_bytes()

    def _found(self, prefix: str) -> Iterator[Stored]:
        for path in sorted((self.folder / prefix).rglob("*.json")):
            key = path.relative_to(self.folder).as_posix()
            if named := naming.parse_evidence_key(key):
                # `aws s3 sync` gives a file the time of its object.
                at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                yield Stored(*named, key, version="", at=at)


@dataclass(frozen=True)
class Verified:
    """What became of one chain."""

    resource: str
    """Its ARN; the short id where no document says it."""
    chain: Sequence[Stored]
    newest: str
    """The digest of the newest document."""
    broken: Break | None

    def line(self) -> str:
        first, last = self.chain[0].at, self.chain[-1].at
        documents = f"{len(self.chain)} document{'s' if len(self.chain) > 1 else ''}"
        span = f"{documents}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        if self.broken:
            return f"BROKEN  {self.resource}: {span}: {self.broken}\n"
        return f"OK      {self.resource}: {span}, newest {self.chain[-1].sequence}:{self.newest}\n"


def verified(reader: Reader, chain: Sequence[Stored], anchor: Anchor | None = None) -> Verified:
    """`chain` is what is stored of one resource, at least one document."""
    documents = [(one.sequence, reader.read(one)) for one in chain]
    short = chain[0].chain
    breaks = [
        Break(one.sequence, f"was written {one.versions} times: only the first of them counts")
        for one in chain
        if one.versions > 1
    ]
    if found := verify_chain(documents, short, anchor):
        breaks.append(found)
    return Verified(
        resource=_resource(documents, short),
        chain=chain,
        newest=digest(documents[-1][1]),
        broken=min(breaks, key=lambda one: one.sequence, default=None),
    )


def _resource(documents: Sequence[tuple[int, bytes]], short: str) -> str:
    """The ARN that the chain is stored under, if any document has it."""
    for _, document in documents:
        try:
            resource = Link.of(document).resource
        except BadEvidence:
            continue
        if naming.short_id(resource) == short:
            return resource
    return short


def _wanted(reader: Reader, asked: Namespace) -> Iterator[list[Stored]]:
    if not asked.resource:
        yield from reader.chains()
    elif chain := reader.chain(asked.resource):
        yield chain


def _anchor(text: str) -> Anchor:
    matched = re.fullmatch(r"([1-9][0-9]{0,7}):([0-9a-f]{64})", text)
    if matched is None:
        raise ArgumentTypeError("write NUMBER:DIGEST, with the digest's 64 hex digits")
    return Anchor(int(matched[1]), matched[2])


def _asked(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser("watchkeeper.drills.verify", description="Check chains of evidence.")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("bucket", nargs="?", help="the evidence bucket's name")
    place.add_argument(
        "--folder", type=Path, help="a copy of the bucket: what `aws s3 sync` has made of it"
    )
    parser.add_argument("--resource", metavar="ARN", help="this one's chain alone")
    parser.add_argument(
        "--anchor",
        type=_anchor,
        metavar="NUMBER:DIGEST",
        help="a document of that resource that you know: the last on a page, or in the table. "
        "Without it nobody sees that the newest documents are gone",
    )
    asked = parser.parse_args(arguments)
    if asked.anchor and not asked.resource:
        parser.error("--anchor is a document of one resource: name it with --resource")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    where = asked.folder or asked.bucket
    reader = FolderReader(asked.folder) if asked.folder else EvidenceReader(asked.bucket)
    sound = []
    try:
        for chain in _wanted(reader, asked):
            result = verified(reader, chain, asked.anchor)
            sys.stdout.write(result.line())
            sound.append(result.broken is None)
    except (AwsError, OSError) as error:
        sys.stderr.write(f"could not check {where}: {error}\n")
        return 2
    if not sound:
        sys.stdout.write(f"BROKEN  {asked.resource or where}: there is no evidence at all\n")
    return 0 if sound and all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
