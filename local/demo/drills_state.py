"""What drills have proved at the end of the week, by the product's own adapters and rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.cloud import Cloud
from watchkeeper import naming
from watchkeeper.aws.evidence import EvidenceReader
from watchkeeper.backups.model import Kind
from watchkeeper.drills.drill import DrillRestores
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.due import READING
from watchkeeper.drills.evidence import Evidence
from watchkeeper.drills.forecast import MONTH
from watchkeeper.drills.model import Subject, Verdict
from watchkeeper.settings import DrillRestoresSettings

SHOW = {"trigger": "show"}


@dataclass(frozen=True)
class Filed:
    """A document of evidence with its page, and where they lie in the bucket."""

    key: str
    at: datetime
    """When the bucket took it."""
    document: bytes
    page_key: str
    page: bytes
    evidence: Evidence

    @property
    def is_restore(self) -> bool:
        return self.evidence.level not in READING

    @property
    def age(self) -> timedelta | None:
        """Of the newest data, when it was asked for."""
        found = self.evidence
        newest = found.newest_data or (found.point.created_at if found.point else None)
        return found.phases.asked - newest if found.phases.asked and newest else None

    @property
    def is_older(self) -> bool:
        """Whether another than the newest recovery point was drilled, on purpose."""
        return self.evidence.point is not None and self.evidence.rpo_objective is None


@dataclass(frozen=True)
class Proved:
    """A resource that a plan protects, and what drills say of it."""

    arn: str
    name: str
    kind: Kind
    plan: str
    rto: timedelta
    rpo: timedelta
    restored: Filed | None
    """The last drill at a level that restores; None if there was none."""
    passed: Filed | None
    """The last of those that passed."""
    read: Filed | None
    """The last that read its recovery points where they lie."""

    @property
    def is_proved(self) -> bool:
        return self.passed is not None and self.passed is self.restored

    @property
    def failed(self) -> Filed | None:
        """What did not pass: the restore, or where there was none, the reading."""
        last = self.restored or self.read
        return last if last and last.evidence.verdict is Verdict.FAILED else None


@dataclass(frozen=True)
class DrillsState:
    at: datetime
    proved: Sequence[Proved]
    filed: Sequence[Filed]
    """Every document, by resource, in order."""
    spent: float
    """USD, as estimated, of what was begun within the last month."""
    per_month: float
    """USD that the policy allows for that."""
    next_estimate: float
    """USD, of what a round would begin now."""
    put_off: Sequence[str]
    """What it would put off, with the reason."""
    shortfalls: Sequence[str]
    """What the policy asks for and will not get."""

    @property
    def restores(self) -> list[Filed]:
        """Of what had a recovery point that could be restored."""
        return [one for one in self.filed if one.is_restore and one.evidence.phases.asked]


def read_drills(cloud: Cloud) -> DrillsState:
    """The state now; asks DrillRestores what a round would do, which changes nothing."""
    drilling, now = _drilling(cloud), cloud.clock.now()
    filed = list(_filed(cloud))
    plans = list((known.plans if (known := drilling.backups()) else {}).keys())
    proved = [_proved(one, filed, drilling) for one in drilling.subjects() if one.is_protected]
    proved.sort(key=lambda one: (plans.index(one.plan) if one.plan in plans else 99, one.name))
    shown = cloud.invoke("DrillRestores", SHOW).result
    return DrillsState(
        at=now,
        proved=proved,
        filed=filed,
        spent=sum(one.usd for one in drilling.begun.since(now - MONTH)),
        per_month=drilling.policy().budget.per_month_usd,
        next_estimate=shown["estimate_usd"],
        put_off=shown["put_off"],
        shortfalls=shown["shortfalls"],
    )


def document_of(cloud: Cloud, resource: str, run: str) -> Evidence:
    """What a drill's run has left behind."""
    reader = EvidenceReader(cloud.physical_id("EvidenceBucket"))
    documents = (Evidence.of(reader.read(one)) for one in reversed(reader.chain(resource)))
    return next(one for one in documents if one.run == run)


def _drilling(cloud: Cloud) -> Drilling:
    """What DrillRestores itself acts on."""
    environment = cloud.functions.find("DrillRestores").environment
    return DrillRestores(DrillRestoresSettings.read(environment)).cloud


def _filed(cloud: Cloud) -> Iterator[Filed]:
    bucket = cloud.physical_id("EvidenceBucket")
    reader = EvidenceReader(bucket)
    for one in (stored for chain in reader.chains() for stored in chain):
        document = reader.read(one)
        found = Evidence.of(document)
        page_key = naming.evidence_page_key(found.resource, one.sequence)
        page = cloud.client("s3").get_object(Bucket=bucket, Key=page_key)["Body"].read()
        yield Filed(one.key, one.at, document, page_key, page, found)


def _proved(subject: Subject, filed: Iterable[Filed], drilling: Drilling) -> Proved:
    of_it = [one for one in filed if one.evidence.resource == subject.resource]
    restored = [one for one in of_it if one.is_restore]
    return Proved(
        arn=subject.resource,
        name=subject.name,
        kind=subject.kind,
        plan=subject.plan,
        rto=drilling.policy().objective(subject.plan),
        rpo=drilling.objective(subject.plan),
        restored=_last(restored),
        passed=_last([one for one in restored if one.evidence.verdict is Verdict.PASSED]),
        read=_last([one for one in of_it if not one.is_restore]),
    )


def _last(filed: Sequence[Filed]) -> Filed | None:
    return filed[-1] if filed else None
