"""What drills have proved: the table's drill items."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Item, Table
from watchkeeper.drills.model import Level, Phases, Proof, Verdict


class ProofTable(Table):
    """Per resource every proof, and per level the newest once more, in an index."""

    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.listing = naming.proofs_listing_key(stack)

    @needs("dynamodb:PutItem")
    def record(self, proof: Proof) -> None:
        """Enter a proof; the same again changes nothing. One that comes after a newer one enters
        the history alone.
        """
        item = _item(proof)
        latest = {
            **item,
            "sk": naming.latest_proof_sk(proof.level),
            "listed_in": self.listing,
        }
        is_newest = "attribute_not_exists(pk) OR drilled_at <= :at"
        try:
            self.write_together(
                [
                    self.conditional_put(item),
                    self.conditional_put(latest, is_newest, {":at": item["drilled_at"]}),
                ]
            )
        except AlreadyThere:
            self.put(item)

    @needs("dynamodb:GetItem")
    def newest(self, resource: str, level: Level) -> Proof | None:
        """What its last drill at the level proved; None if there was none."""
        key = {"pk": naming.proof_pk(resource), "sk": naming.latest_proof_sk(level)}
        item = self.get(key)
        return _proof(item) if item else None

    @needs("dynamodb:Query")
    def latest(self) -> Iterator[Proof]:
        """Of every resource and level, the newest. The index lags by about a second."""
        for item in self.query(
            "listed_in = :listing", {":listing": self.listing}, IndexName="listing"
        ):
            yield _proof(item)


def _item(proof: Proof) -> Item:
    return {
        "pk": naming.proof_pk(proof.resource),
        "sk": naming.proof_sk(proof.drilled_at, proof.level),
        "resource": proof.resource,
        "level": proof.level.value,
        "drilled_at": naming.instant(proof.drilled_at),
        "verdict": proof.verdict.value,
        "point": proof.point,
        "point_created_at": naming.instant(proof.point_created_at),
        "run": proof.run,
        "why": proof.why,
        "newest_data": naming.instant(proof.newest_data) if proof.newest_data else None,
        "phases": {
            name: naming.instant(at) for name, at in asdict(proof.phases).items() if at is not None
        },
        "sequence": proof.sequence,
        "digest": proof.digest,
        "found": dict(proof.found),
    }


def _proof(item: Mapping[str, Any]) -> Proof:
    def at(name: str) -> datetime | None:
        return naming.parse_instant(item[name]) if item.get(name) else None

    phases = {name: naming.parse_instant(text) for name, text in item.get("phases", {}).items()}
    return Proof(
        resource=item["resource"],
        level=Level(item["level"]),
        drilled_at=naming.parse_instant(item["drilled_at"]),
        verdict=Verdict(item["verdict"]),
        point=item["point"],
        point_created_at=naming.parse_instant(item["point_created_at"]),
        run=item["run"],
        why=item["why"],
        newest_data=at("newest_data"),
        phases=Phases(**phases),
        sequence=int(item["sequence"]),
        digest=item["digest"],
        found=item.get("found", {}),
    )
