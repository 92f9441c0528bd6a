"""A drill that restores a table, in a small world on a clock: every call of it can go wrong.

The restore takes twelve minutes, is hidden for the first three, and is asked for by name; what asks
it questions is a second thing, which has to be removed as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from tests.crash.engine_world import DRILL, START, TIMEOUT, Process, Through, World
from tests.unit.drills.fleet import arn, point
from watchkeeper import naming
from watchkeeper.aws.errors import Denied, NotThere, OverQuota, Refused, Throttled, Unclear
from watchkeeper.backups.model import Kind, RecoveryPoint, Service
from watchkeeper.drills import metadata
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.evidence import Evidence, digest
from watchkeeper.drills.exercise import EXERCISE
from watchkeeper.drills.model import Begun, Check, Level, Proof, SignOff
from watchkeeper.drills.policy import DrillsPolicy
from watchkeeper.drills.restore import RESTORE
from watchkeeper.drills.restoring import (
    Answers,
    Facts,
    Left,
    Pending,
    Restoring,
    Stands,
    State,
    Where,
)
from watchkeeper.news.every import EVERY
from watchkeeper.runs.engine import Engine
from watchkeeper.runs.record import Run, new_run

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HIDDEN = 3 * MINUTE
RESTORING = 12 * MINUTE
ARRIVING = 20 * MINUTE
DELETING = 12 * MINUTE
STACK = "watchkeeper"
RATES = arn(Kind.TABLE, "rates")
POINT = point(Kind.TABLE, "rates", START - 5 * HOUR)
POLICY = DrillsPolicy.model_validate({"sign_off": ["ops@example.com"]})
NAME = naming.drill_name(STACK, DRILL)


def check(name: str = "it is complete", *, passed: bool = True, found: str = "10 items") -> Check:
    """One whose question is seen to fail where it must."""
    return Check(name, Level.CHECK, metadata.VERSION, "10 items", found, passed)


# ── The kind ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Thing:
    what: str
    drill: str
    made_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    deleted_at: datetime | None = None


@dataclass
class Tables:
    """A Restorer, and its service."""

    clock: Callable[[], datetime]
    there: list[Thing] = field(default_factory=list)
    made: int = 0
    asked: list[Restoring] = field(default_factory=list)
    found: Sequence[Check] = (check(),)
    answers: Sequence[Check] = (check("its size"),)
    full: bool = False
    broken: bool = False
    breaks_later: bool = False
    never_comes: bool = False
    refuses: str = ""
    """The method that AWS refuses."""
    loses: bool = False
    """The answer to `ask`, and from then on everything is refused."""
    hidden: timedelta = HIDDEN
    held: str = ""
    """The thing that cannot be removed."""

    def ask(self, one: Restoring) -> str:
        self._refused("ask")
        if self.full:
            raise OverQuota("dynamodb:RestoreTableFromBackup", "LimitExceededException", "50")
        self.asked.append(one)
        self._make(f"table {one.name}", one)
        if self.loses:
            self.refuses = "ask"
            raise Unclear("dynamodb:RestoreTableFromBackup", "InternalServerError", "no answer")
        return ""

    def stands(self, one: Restoring) -> Stands:
        self._refused("stands")
        made = next((each for each in self._shown() if each.what == f"table {one.name}"), None)
        if made is None:
            raise NotThere("dynamodb:DescribeTable", "ResourceNotFoundException", one.name)
        if self.never_comes or self.clock() < made.made_at + RESTORING:
            return Stands(State.COMING, "the table to be restored")
        if self.broken:
            return Stands(State.BROKEN, "its key is gone")
        arrived = self.clock() >= made.made_at + ARRIVING
        if self.breaks_later and arrived:
            return Stands(State.BROKEN, "its disk has failed", is_initialised=False)
        return Stands(State.AVAILABLE, is_initialised=arrived)

    def secure(self, one: Restoring, facts: Facts, now: datetime) -> Pending | Facts:
        self._refused("secure")
        if "table.secured" in facts:
            return {}
        return Pending("its password to be changed", {"table.secured": naming.instant(now)})

    def checks(self, one: Restoring) -> list[Check]:
        self._refused("checks")
        return list(self.found)

    def examine(self, one: Restoring, facts: Facts, now: datetime) -> Pending | Answers:
        self._refused("examine")
        self._make(f"verifier of {one.name}", one)
        if "table.asked" not in facts:
            return Pending("an answer", {"table.asked": naming.instant(now)})
        return Answers(self.answers, POINT.created_at, {"its size": "10"})

    def left(self) -> list[Left]:
        self._refused("left")
        return [self._left(one) for one in self._shown() if one.what.startswith("table")]

    def verifiers(self) -> list[Left]:
        return [self._left(one) for one in self._shown() if one.what.startswith("verifier")]

    def remove(self, left: Left, now: datetime) -> str:
        if self.held and left.what.startswith(self.held):
            raise Refused("dynamodb:DeleteTable", "ValidationException", "deletion protection")
        thing: Thing = left.thing
        if self.clock() < thing.made_at + RESTORING and thing.what.startswith("table"):
            return "it is being made"
        thing.deleted_at = thing.deleted_at or self.clock()
        return ""

    def _refused(self, method: str) -> None:
        if self.refuses == method:
            raise Denied(f"dynamodb:{method}", "AccessDeniedException", "not allowed")

    def _make(self, what: str, one: Restoring) -> None:
        if all(each.what != what for each in self.there):
            self.made += 1
            self.there.append(Thing(what, one.name, self.clock(), one.tags))

    def _left(self, one: Thing) -> Left:
        expires = naming.expires_at(one.tags)
        return Left(one.what, one.drill, one.tags.get(naming.TAG_STACK, ""), expires, one)

    def _shown(self) -> list[Thing]:
        now = self.clock()
        self.there = [
            one for one in self.there if not one.deleted_at or now < one.deleted_at + DELETING
        ]
        return [one for one in self.there if now >= one.made_at + self.hidden]


# ── What is written down ──────────────────────────────────────────────────────────────────────────


@dataclass
class Written:
    """Catalogue, evidence, proofs and budget in memory."""

    points: list[RecoveryPoint] = field(default_factory=lambda: [POINT])
    policy: DrillsPolicy = POLICY
    manifests: dict[str, bytes] = field(default_factory=dict)
    chain: list[tuple[str, bytes]] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    proofs: dict[tuple[str, datetime], Proof] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    begun: list[Begun] = field(default_factory=list)
    signed: SignOff | None = None
    refuses: str = ""

    def of(self, resource: str) -> list[RecoveryPoint]:
        return [one for one in self.points if one.resource == resource]

    def in_force(self) -> DrillsPolicy:
        if self.refuses == "in_force":
            raise Denied("ssm:GetParameter", "AccessDeniedException", "not allowed")
        return self.policy

    def of_backups(self) -> None:
        return None

    def read(self, point: str) -> bytes:
        if point not in self.manifests:
            raise NotThere("s3:GetObject", "NoSuchKey", point)
        return self.manifests[point]

    def append(
        self, resource: str, run: str, since: datetime, make: Callable[[int, str], bytes]
    ) -> tuple[int, bytes]:
        if self.refuses == "append":
            raise Denied("s3:PutObject", "AccessDenied", "not allowed")
        for number, (of, document) in enumerate(self.chain, 1):
            if of == run:
                return number, document
        previous = digest(self.chain[-1][1]) if self.chain else ""
        self.chain.append((run, make(len(self.chain) + 1, previous)))
        return len(self.chain), self.chain[-1][1]

    def write_page(self, resource: str, sequence: int, page: str) -> None:
        self.pages.setdefault(naming.evidence_page_key(resource, sequence), page)

    def write_exercise(self, drill: str, page: str) -> str:
        key = naming.exercise_page_key(drill)
        self.pages.setdefault(key, page)
        return key

    def record(self, proof: Proof) -> None:
        self.proofs[proof.run, proof.drilled_at] = proof

    def end(self, run_id: str, begun_at: datetime) -> None:
        self.running.discard(run_id)

    def since(self, at: datetime) -> list[Begun]:
        return [one for one in self.begun if one.begun_at >= at]

    def signed_by(self, run_id: str) -> SignOff | None:
        return self.signed


# ── The world ─────────────────────────────────────────────────────────────────────────────────────


class Reached(Through):
    """As one process reaches it; AWS may refuse a call."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        reached = super().__getattr__(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            world = self._process.world
            assert isinstance(world, DrillWorld)
            if world.calls + 1 == world.refused_call:
                world.calls += 1
                raise Refused("aws:Call", "AccessDenied", "not allowed")
            if world.now < world.throttled_until:
                raise Throttled("dynamodb:Call", "Throttling", "too many requests")
            return reached(*args, **kwargs)

        return call


class DrillWorld(World):
    def __init__(
        self,
        *,
        level: str = "check",
        mishaps: Mapping[int, str] | None = None,
        refused_call: int = 0,
        start: Run | None = None,
        **changes: Any,
    ) -> None:
        table = EXERCISE if level == "exercise" else RESTORE
        super().__init__(
            mishaps=mishaps, workflow=lambda run: table, start=start or a_run(level, table)
        )
        self.refused_call = refused_call
        self.throttled_until = START
        self.tables = Tables(lambda: self.now, **changes)
        self.written = Written(running={DRILL})

    def engine(self, process: Process, remaining: timedelta = TIMEOUT) -> Engine:
        runs = Through(process, self.runs)
        publish = Through(process, self).publish
        deadline = process.clock() + remaining
        cloud = self.drilling(process)
        return Engine(runs, self.workflow, cloud, publish, process.clock, deadline)

    def drilling(self, process: Process) -> Any:
        written, tables = Reached(process, self.written), Reached(process, self.tables)
        verifier = SimpleNamespace(left=tables.verifiers, remove=tables.remove)
        nothing: Any = None
        fields: dict[str, Any] = {
            "stack": STACK, "policy": written.in_force, "since": nothing, "shown": {},
            "backups": written.of_backups, "blocks": nothing, "keys": nothing,
            "manifests": written, "evidence": written, "proofs": written,
            "drills": SimpleNamespace(signed=written.signed_by), "targets": nothing,
            "catalogue": written, "others": nothing, "coverage": nothing, "begun": written,
            "runs": Reached(process, self.runs), "restorers": {Service.DYNAMODB: tables},
            "where": Where("drills", "sg-1", "eu-west-1a"), "verifier": verifier,
        }  # fmt: skip
        return Drilling(**fields)

    def finish(self) -> "DrillWorld":
        super().finish()
        return self

    @property
    def pages(self) -> list[str]:
        """Of what people were told, each once however often it was repeated."""
        kinds = {kind.__name__ for kind in EVERY.values() if kind.is_page}
        return [one["type"] for one in {one["id"]: one for one in self.sent}.values()
                if one["type"] in kinds]  # fmt: skip

    @property
    def verdict(self) -> tuple[str, str]:
        """The one verdict, and why: evidence, proof and news agree."""
        ((_, document),) = self.written.chain
        (proof,) = self.written.proofs.values()
        (told,) = self.news("RestoreDrilled")
        evidence = Evidence.of(document)
        assert proof.digest == digest(document)
        assert evidence.verdict.value == proof.verdict.value == told["verdict"]
        assert evidence.failure == proof.why
        return evidence.verdict.value, evidence.failure


def a_run(level: str, table: Sequence[Any] = RESTORE, **facts: str) -> Run:
    known = {
        "workflow": "exercise" if level == "exercise" else "restore", "resource": RATES,
        "name": "rates", "plan": "gold", "level": level, "point": POINT.id, "others": "",
        "why": "never proved", "cost": "0.02", "begun_at": naming.instant(START), "before": "",
    }  # fmt: skip
    return new_run(DRILL, table, START, **(known | facts))
