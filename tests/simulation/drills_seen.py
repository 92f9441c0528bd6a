"""What is seen of a year of drills: its world, its records, its pages; nothing is judged here."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from local.aws import ec2, rds
from local.cloud import Cloud
from tests.simulation.drills_account import (
    BACKUPS,
    MEMBERS,
    POLICIES,
    SECRET,
    Account,
    Record,
    items,
)
from tests.simulation.drills_records import (
    LONGEST,
    Begun,
    Choice,
    Damage,
    Document,
    Excuse,
    Member,
    Page,
    Rules,
    Seen,
    Span,
)
from tests.simulation.drills_story import HOUR, Trouble
from tests.simulation.year import alarms, sounded
from tests.simulation.year_story import DAY, Stretch
from watchkeeper import naming
from watchkeeper.drills.chain import Anchor, verify_chain
from watchkeeper.drills.model import Level
from watchkeeper.drills.policy import DrillsPolicy, parse_drills_policy

LINGERS = timedelta(hours=3)
"""A drill's last things are removed in so much more time than it may have them."""


@dataclass
class Year:
    """A stretch of the account's life, and what was seen of it on the way."""

    made: Account
    stretch: Stretch
    troubles: Sequence[Trouble]
    crowds: list[tuple[datetime, int]] = field(default_factory=list)
    things: dict[str, datetime] = field(default_factory=dict)
    """What drills have in AWS, and when it was first seen."""
    complaints: list[str] = field(default_factory=list)
    suspected: set[str] = field(default_factory=set)
    """Of yesterday: what still is so today is no invocation that was cut off."""
    documents: dict[str, Document] = field(default_factory=dict)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    rebuilt: list[int] = field(default_factory=list)

    @property
    def cloud(self) -> Cloud:
        return self.made.cloud

    def look_around(self) -> None:
        """Count the drills that have something in AWS, whatever their records say."""
        now, there = self.cloud.clock.now(), dict(things_of(self.cloud))
        for name in self.things.keys() - there.keys():
            del self.things[name]
        for name in there:
            first = self.things.setdefault(name, now)
            if now - first > LONGEST + LINGERS:
                self.complain([f"{name} has been there since {first:%Y-%m-%d %H:%M}"])
        crowd = len(set(there.values()))
        if not self.crowds or self.crowds[-1][1] != crowd:
            self.crowds.append((now, crowd))

    def complain(self, about: Iterable[str]) -> None:
        self.complaints += [one for one in about if one not in self.complaints]


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


def things_of(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """What drills have in AWS, with their names; past the APIs, which hide what is new."""
    databases, machines = rds.installed_in(cloud).backend, ec2.installed_in(cloud).backend
    tables = dynamodb_backends[cloud.account_id][cloud.region].tables
    for name in (*databases.databases, *databases.clusters, *tables):
        if naming.is_drill(name):
            yield name, naming.drill_of(name)
    running = [one for one in machines.all_instances() if one.state != "terminated"]
    for thing in (*machines.volumes.values(), *running):
        for tag in thing.get_tags():
            if tag["key"] == naming.TAG_DRILL:
                yield str(thing.id), tag["value"]


def read_documents(year: Year) -> None:
    """What evidence has come since the last look, past the API."""
    bucket = s3_backends[year.cloud.account_id]["aws"].buckets[
        year.cloud.physical_id("EvidenceBucket")
    ]
    for key in list(bucket.keys):
        named = naming.parse_evidence_key(key)
        if named and key not in year.documents:
            year.documents[key] = document_of(bucket.keys[key].value)


def document_of(stored: bytes) -> Document:
    found = json.loads(stored)
    return Document(
        resource=found["resource"],
        level=found["level"],
        run=found["run"],
        verdict=found["verdict"],
        failure=found["failure"],
        point=(found["point"] or {}).get("id", ""),
        began_at=naming.parse_instant(found["began_at"]),
        ended_at=naming.parse_instant(found["ended_at"]),
        usd=float(found["cost_usd"]["estimated"]),
        sequence=found["sequence"],
        digest=hashlib.sha256(stored).hexdigest(),
    )


def seen(year: Year) -> Seen:
    """Everything that the model judges by."""
    cloud, now, stretch = year.cloud, year.cloud.clock.now(), year.stretch
    runs = drill_runs(cloud)
    return Seen(
        begins=stretch.begins,
        ends=now,
        rules=list(rules(stretch)),
        members=list(members(year)),
        documents=list(year.documents.values()),
        choices=list(choices(cloud)),
        begun=[
            Begun(
                one["run"],
                one["resource"],
                naming.parse_instant(one["begun_at"]),
                float(one["usd"]),
            )
            for one in items(cloud, "DRILLS#")
        ],
        pages=list(pages(cloud)),
        failed_runs=frozenset(
            naming.run_id_of(one["pk"]) for one in runs if one.get("failure") and "step" not in one
        ),
        exercises=frozenset(
            naming.run_id_of(one["pk"])
            for one in runs
            if one["facts"].get("workflow") == "exercise" and "asked_at" in one["facts"]
        ),
        refused=sum(
            one.what == "policy refused" and one.begins + 7 * HOUR < now for one in year.troubles
        ),
        crowds=year.crowds,
        troubles=[
            (one.begins, one.ends)
            for one in year.troubles
            if one.what in ("ticks lost", "killed", "throttled", "not signed")
        ],
        alarms=sounded(alarms(cloud).get("DrillsOverdueAlarm", []), now),
        damaged={point: Damage(*one) for point, one in year.made.damaged.items()},
        excuses=list(excuses(year)),
    )


def drill_runs(cloud: Cloud) -> list[Record]:
    return [one for one in items(cloud, "RUN#drill#round#") if one["sk"] == "RUN"]


def rules(stretch: Stretch) -> Iterator[Rules]:
    for (after, _), policy in zip(POLICIES, policies(), strict=True):
        plans = BACKUPS["plans"]
        every = {
            plan: {
                level.value: interval
                for level in Level
                if (interval := policy.interval(plan, level))
            }
            for plan in plans
        }
        budget = policy.budget
        yield Rules(
            stretch.begins + after, every,
            budget.at_once, budget.per_run_usd, budget.per_month_usd,
        )  # fmt: skip


def members(year: Year) -> Iterator[Member]:
    """Those that have ever been backed up."""
    for one in MEMBERS:
        arn = year.made.arns.get(one.name, "none")
        created = [
            naming.parse_instant(point["created_at"])
            for point in items(year.cloud, f"POINT#{arn}")
            if "created_at" in point
        ]
        if created:
            has_blocks = one.kind in ("volume", "instance")
            yield Member(arn, one.name, one.plan, has_blocks, min(created))


def choices(cloud: Cloud) -> Iterator[Choice]:
    found: dict[str, Choice] = {}
    facts = {naming.run_id_of(one["pk"]): one["facts"] for one in drill_runs(cloud)}
    for news in cloud.published("NewsTopic"):
        if news.attributes.get("type") == "DrillsChosen":
            told = news.json()
            at = naming.parse_instant(facts[told["run"]]["chosen_at"])
            found[told["run"]] = Choice(
                told["run"], at, told["estimate"],
                tuple(told["put_off"]), tuple(told["shortfalls"]),
            )  # fmt: skip
    return iter(found.values())


OF_DRILLS = ("Drills ", "Exercise: ", "Policy ")


def pages(cloud: Cloud) -> Iterator[Page]:
    """Those of drills, and those of the engine about runs of drills."""
    for one in cloud.published("PagesTopic"):
        subject, text = one.subject or "", one.message
        run = text.rpartition("Record: pk = RUN#")[2].partition(" ")[0] if "RUN#" in text else ""
        if subject.startswith(OF_DRILLS) or run.startswith("drill#"):
            lines = [line for line in text.splitlines() if line.startswith("- ")]
            yield Page(subject, run, one.at, tuple(lines), text)


def excuses(year: Year) -> Iterator[Excuse]:
    for one in year.troubles:
        match one.what:
            case "verifier silent":
                yield Excuse(one.begins, one.ends, ("check",))
            case "key disabled":  # and until the next night of its plan
                secret = year.made.arns[SECRET]
                yield Excuse(one.begins, one.ends + 7 * DAY, resource=secret)
            case "not signed":
                yield Excuse(one.begins, one.ends, ("exercise",))
            case _:
                pass


def policies() -> list[DrillsPolicy]:
    return [parse_drills_policy(json.dumps(text)) for _, text in POLICIES]


def unmeasured(year: Year) -> list[Span]:
    """While no tick comes, nobody can tell what is overdue."""
    now = year.cloud.clock.now()
    lost = [one for one in year.troubles if one.what == "ticks lost" and one.begins < now]
    return [(one.begins, min(one.ends, now)) for one in lost]


def ended(cloud: Cloud) -> list[str]:
    restores = ("restore", "exercise")
    return [
        naming.run_id_of(one["pk"])
        for one in drill_runs(cloud)
        if one["facts"].get("workflow") in restores and "step" not in one
    ]


def reported(cloud: Cloud) -> dict[str, int]:
    """Per round its verdicts."""
    told = [
        news.json()
        for news in cloud.published("NewsTopic")
        if news.attributes.get("type") == "DrillsReported"
    ]
    return {one["run"]: one["passed"] + one["failed"] for one in told}


def broken_chains(year: Year) -> Iterator[str]:
    bucket = s3_backends[year.cloud.account_id]["aws"].buckets[
        year.cloud.physical_id("EvidenceBucket")
    ]
    stored: dict[str, list[tuple[int, bytes]]] = {}
    for key in year.documents:
        of, sequence = naming.parse_evidence_key(key) or ("", 0)
        stored.setdefault(of, []).append((sequence, bucket.keys[key].value))
    for name, arn in year.made.arns.items():
        of = naming.short_id(arn)
        proofs = items(year.cloud, f"PROOF#{arn}")
        newest = max(proofs, key=lambda one: int(one["sequence"]), default=None)
        anchor = Anchor(newest["sequence"], newest["digest"]) if newest else None
        if broken := verify_chain(sorted(stored.get(of, [])), of, anchor):
            yield f"the chain of {name}: {broken}"


def wrong_proofs(year: Year) -> Iterator[str]:
    newest: dict[tuple[str, str], Document] = {}
    for one in sorted(year.documents.values(), key=lambda one: (one.ended_at, one.sequence)):
        newest[one.resource, one.level] = one
    proofs = {
        (one["resource"], one["level"]): one["digest"]
        for one in items(year.cloud, "PROOF#")
        if one["sk"].startswith("LEVEL#")
    }
    for of in sorted(newest.keys() | proofs.keys()):
        if of not in newest or proofs.get(of) != newest[of].digest:
            yield f"the table's proof of {of} is not its newest document"
