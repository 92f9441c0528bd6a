"""RDS and Aurora as a kind of restore: databases and clusters from their snapshots.

What is to be remembered of one drill's database:

    database.renewed    when a fresh master password was asked for
    database.renewing   `yes`: RDS was seen to be at it
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.drill_secrets import DrillSecret, DrillSecrets
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.restores_rds import (
    LATER,
    DatabaseDismantler,
    DatabaseRestorer,
    RestoredDatabase,
    RestoredDatabases,
    is_aurora,
    member_of,
)
from watchkeeper.backups.model import Kind, Service
from watchkeeper.drills import database_answers, database_checks
from watchkeeper.drills.database_answers import BUILT_IN, Asked
from watchkeeper.drills.database_checks import GROUPS, NO_KEY, Expected, Found
from watchkeeper.drills.database_settings import OF_EVERY_MEMBER, Settings, shown, told
from watchkeeper.drills.model import Check
from watchkeeper.drills.restoring import Answers, Facts, Left, Pending, Restoring, Stands, State
from watchkeeper.drills.verifier import Verifier
from watchkeeper.quoting import quoted

READY = frozenset({"available", "storage-initialization", "storage-optimization"})
"""States of RDS in which a database can be used."""
INITIALISING = "storage-initialization"
"""It can be used, and its data still comes from S3. A database that never shows it does not say."""
DEAD = frozenset({
    "cloning-failed", "deleting", "failed", "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable", "migration-failed", "restore-error",
    "stopped", "stopping", "storage-full",
})  # fmt: skip
"""States that nothing of ours leads to, or out of:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html
"""
INCOMPATIBLE = "incompatible-"
"""With what, the rest of the word says: a network, an option group, a restore."""
RESETTING = "resetting-master-credentials"
UNSEEN = timedelta(minutes=5)
"""So long after a password was asked for, RDS has begun to set it, and a look that finds it at
nothing comes after that was done.
"""
PASSWORD_BYTES = 22
"""Random ones, as 30 letters, digits, - and _: the most that every engine takes, Oracle the least.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
"""
SMALLEST_MEMBER = "db.t4g.medium"
"""Where no manifest says which class a cluster's members had: the smallest of both Auroras."""
LAST_TIER = 15
"""Aurora promotes members of tier 0 first."""
SCRIPT = "ask_database"
RENEWED, RENEWING = "database.renewed", "database.renewing"


@dataclass(frozen=True)
class Databases:
    """Restores databases and clusters, examines them, and takes them down."""

    restorer: DatabaseRestorer
    shown: RestoredDatabases
    dismantler: DatabaseDismantler
    secrets: DrillSecrets
    verifier: Verifier

    service = Service.RDS

    # ── Restoring ─────────────────────────────────────────────────────────────────────────────────

    def ask(self, one: Restoring, /) -> str:
        """Of a cluster of Aurora its member, too, which RDS makes only in an available one."""
        try:
            restored = self.shown.one(one.name, one.point.kind)
        except NotThere:
            return self._restore(one)
        # Not asked for again: it may have taken the last place below a limit of the account.
        return self._ask_for_member(one, restored) if restored.kind is Kind.CLUSTER else ""

    def _restore(self, one: Restoring) -> str:
        snapshot = naming.rds_name(one.point.parts[0].snapshot)
        if one.point.kind is Kind.CLUSTER:
            self.restorer.restore_cluster(one.name, snapshot, _settings(one), one.tags)
            return "the cluster to be shown"
        self.restorer.restore_instance(one.name, snapshot, _settings(one), one.tags)
        return ""

    def _ask_for_member(self, one: Restoring, cluster: RestoredDatabase) -> str:
        if not is_aurora(cluster.engine) or _is_broken(cluster.state):
            return ""
        if cluster.state not in READY:
            return f"the cluster to be available: it is {quoted(cluster.state)}"
        try:
            self.restorer.add_member(cluster, _member_class(_settings(one)), one.tags)
        except Refused as error:
            if error.code not in LATER:
                raise
            return f"the cluster to take a member: {quoted(error.message)}"
        return ""

    def stands(self, one: Restoring, /) -> Stands:
        """Of a cluster of Aurora with its member, which it has none of before it is available."""
        restored = self.shown.one(one.name, one.point.kind)
        cluster = _stands(restored)
        if cluster.state is not State.AVAILABLE:
            return cluster
        member = self._member(restored)
        if member is None:
            return cluster
        found = _stands(member)
        is_initialised = cluster.is_initialised and found.is_initialised
        return replace(found, is_initialised=is_initialised)

    def _member(self, restored: RestoredDatabase) -> RestoredDatabase | None:
        """The one that a drill gives a cluster of Aurora; None for what has none of ours. Raises
        NotThere if it is not shown.
        """
        if restored.kind is Kind.DATABASE or not is_aurora(restored.engine):
            return None
        return self.shown.one(member_of(restored.name), Kind.DATABASE)

    # ── A fresh password ──────────────────────────────────────────────────────────────────────────

    def secure(self, one: Restoring, facts: Facts, now: datetime, /) -> Pending | Facts:
        """Renew the master password, so that production's opens nothing. The fresh one is kept
        first: whoever asks again asks for the same.
        """
        restored = self.shown.one(one.name, one.point.kind)
        if RENEWED not in facts:
            return self._renew(one, restored, now)
        is_pending = "MasterUserPassword" in restored.settings.get("PendingModifiedValues", {})
        if is_pending or restored.state == RESETTING:
            return Pending("the fresh master password to be in force", {RENEWING: "yes"})
        if restored.state not in READY:
            return Pending(f"it to be available again: it is {quoted(restored.state)}")
        if RENEWING in facts or now >= naming.parse_instant(facts[RENEWED]) + UNSEEN:
            return {}
        return Pending("RDS to show that it renews the master password")

    def _renew(self, one: Restoring, restored: RestoredDatabase, now: datetime) -> Pending:
        if restored.state not in READY:
            return Pending(f"it to be available: it is {quoted(restored.state)}")
        password = self.secrets.keep(one.name, secrets.token_urlsafe(PASSWORD_BYTES), one.tags)
        try:
            self.restorer.renew_password(restored, password)
        except Refused as error:
            if error.code not in LATER:
                raise
            return Pending(f"RDS to take a fresh master password: {quoted(error.message)}")
        return Pending("the fresh master password to be in force", {RENEWED: naming.instant(now)})

    # ── Looking ───────────────────────────────────────────────────────────────────────────────────

    def checks(self, one: Restoring, /) -> list[Check]:
        restored = self.shown.one(one.name, one.point.kind)
        member = self._member(restored)
        source = self.shown.source(naming.rds_name(one.point.parts[0].snapshot), one.point.kind)
        return database_checks.checks(
            self._expected(one, restored, source), _found(restored, member)
        )

    def _expected(
        self, one: Restoring, restored: RestoredDatabase, source: Mapping[str, Any]
    ) -> Expected:
        settings, isolation = _settings(one), self.restorer.isolation
        members = {**OF_EVERY_MEMBER, "DBInstanceClass": _member_class(settings)}
        is_of_aurora = is_aurora(restored.engine)
        gib = max(one.point.parts[0].gib, source.get("AllocatedStorage", 0))
        return Expected(
            told={**told(settings, restored.kind), **(members if is_of_aurora else {})},
            kept={**database_checks.of_snapshot(source), **_written_down(one)},
            isolation={
                "DBSubnetGroup": isolation.subnet_group,
                "PubliclyAccessible": False,
                GROUPS: [isolation.database_group],
            },
            tags=one.tags,
            gib=None if is_of_aurora else gib,
        )

    def examine(self, one: Restoring, facts: Facts, now: datetime, /) -> Pending | Answers:
        """By a verifier beside it: nothing else can reach it."""
        restored = self.shown.one(one.name, one.point.kind)
        if restored.engine not in BUILT_IN:
            return database_answers.not_asked(
                f"a verifier has no client for {quoted(restored.engine)}: if restoring it is proof"
                ' enough, set "check": "never" for its plan'
            )
        if not restored.endpoint:
            return Pending("RDS to show its address")
        heard = self.verifier.answer(one, SCRIPT, self._request(one, restored), facts, now)
        if isinstance(heard, Pending):
            return heard
        if heard.document is None:
            return database_answers.not_asked(heard.why)
        asked = Asked(one.point.created_at, one.objective, one.questions, one.before)
        return database_answers.judged(asked, heard.document)

    def _request(self, one: Restoring, restored: RestoredDatabase) -> dict[str, object]:
        host, _, port = restored.endpoint.rpartition(":")
        return {
            "engine": restored.engine,
            "host": host,
            "port": int(port),
            "user": restored.settings["MasterUsername"],
            "secret": self.secrets.parameter(one.name),
            "region": restored.arn.split(":")[3],
            "questions": database_answers.request(restored.engine, one.questions),
        }

    # ── Taking down ───────────────────────────────────────────────────────────────────────────────

    def left(self) -> Sequence[Left]:
        """Members before their clusters. The verifier tells of its own."""
        return [
            *(
                _left(f"{_word(one)} {one.name}", one.name, one.tags, one)
                for one in self.shown.all()
            ),
            *(
                _left(f"password of {one.name}", one.name, one.tags, one)
                for one in self.secrets.all()
            ),
        ]

    def remove(self, left: Left, _now: datetime, /) -> str:
        if isinstance(left.thing, DrillSecret):
            self.secrets.delete(left.thing.name)
            return ""
        return self.dismantler.delete(left.thing)


def _settings(one: Restoring) -> Settings:
    """Those written down; without a manifest a restore is left to its defaults."""
    return one.manifest.settings if one.manifest else {}


def _written_down(one: Restoring) -> Settings:
    """What a manifest says of that which a snapshot keeps."""
    if one.manifest is None:
        return {}
    version = one.manifest.settings.get("EngineVersion")  # of clusters
    return {
        "KmsKeyId": one.manifest.key or NO_KEY,
        **({"EngineVersion": version} if version else {}),
    }


def _member_class(settings: Settings) -> str:
    """That of the member which would be promoted first."""
    members = sorted(
        settings.get("Members", ()), key=lambda member: member.get("PromotionTier", LAST_TIER)
    )
    return str(members[0]["DBInstanceClass"]) if members else SMALLEST_MEMBER


def _is_broken(state: str) -> bool:
    return state in DEAD or state.startswith(INCOMPATIBLE)


def _stands(restored: RestoredDatabase) -> Stands:
    where = f"{_word(restored)} {restored.name}"
    if _is_broken(restored.state):
        return Stands(State.BROKEN, f"RDS says of {where} that it is {quoted(restored.state)}")
    if restored.state not in READY:
        return Stands(State.COMING, f"{where} to be available: it is {quoted(restored.state)}")
    return Stands(State.AVAILABLE, is_initialised=restored.state != INITIALISING)


def _found(restored: RestoredDatabase, member: RestoredDatabase | None) -> Found:
    """Of a cluster with its member: only that has a class, and could be public."""
    settings = {
        **shown(restored.settings, restored.kind),
        **database_checks.of_database(restored.settings),
    }
    tags = dict(restored.tags)
    if member:
        own = (*OF_EVERY_MEMBER, "DBInstanceClass")
        settings |= {name: member.settings.get(name) for name in own}
        tags = {name: value for name, value in tags.items() if member.tags.get(name) == value}
    return Found(settings, tags, restored.settings.get("AllocatedStorage", 0))


def _word(restored: RestoredDatabase) -> str:
    return "cluster" if restored.kind is Kind.CLUSTER else "database"


def _left(what: str, name: str, tags: Mapping[str, str], thing: object) -> Left:
    return Left(
        what=what,
        drill=naming.drill_of(name),
        stack=tags.get(naming.TAG_STACK, ""),
        expires_at=naming.expires_at(tags),
        thing=thing,
    )
