"""RDS instances and clusters, restored beside their originals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.recover_rds import DatabaseRecoverer, RecoveredDatabases, Standing
from watchkeeper.backups.model import Kind, RecoveryPoint, Service
from watchkeeper.drills.restoring import Stands, State
from watchkeeper.quoting import quoted
from watchkeeper.recovery import database_settings as known
from watchkeeper.recovery.model import (
    ByHand,
    Change,
    Difference,
    Handover,
    Recovering,
    Settings,
    as_written,
    command,
)

READY = frozenset({"available", "storage-optimization"})
"""States in which it can be used; the second is work on its disks that takes hours."""
BROKEN = frozenset({
    "failed", "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-network", "incompatible-option-group", "incompatible-parameters",
    "incompatible-restore", "insufficient-capacity", "restore-error", "storage-full",
})  # fmt: skip
"""States that do not pass by themselves:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html
"""


@dataclass(frozen=True)
class RdsRecoverer:
    recoverer: DatabaseRecoverer
    databases: RecoveredDatabases

    service = Service.RDS
    longest_name = 60
    """RDS takes 63 characters; three are for the numbers of members."""

    def original(self, point: RecoveryPoint, _zone: str, /) -> Settings:
        return as_written(point, self.databases.settings(point.resource))

    def ask(self, one: Recovering, /) -> str:
        """First the cluster: it takes no members before it is there."""
        snapshot = naming.rds_name(one.point.parts[0].snapshot)
        tags = one.with_originals(one.settings.get("Tags", {}))
        if one.point.kind is not Kind.CLUSTER:
            told = known.told(one.settings, known.INSTANCE)
            self.recoverer.restore_instance(one.name, snapshot, told, tags)
            return ""
        told = known.told(one.settings, known.CLUSTER)
        engine = self.databases.engine(snapshot)
        self.recoverer.restore_cluster(one.name, snapshot, engine, told, tags)
        try:
            cluster = self.databases.cluster(one.name)
        except NotThere:
            return f"RDS to show cluster {one.name}"
        if (stands := _stands(cluster, one)).state is State.COMING:
            return stands.why
        for name, settings in members(one):
            tags = one.with_originals(settings.get("Tags", {}))
            told = known.told(settings, known.MEMBER)
            self.recoverer.add_member(name, one.name, engine, told, tags)
        return ""

    def stands(self, one: Recovering, /) -> Stands:
        """The least ready of what was made."""
        for found in self._made(one):
            stands = _stands(found, one)
            if stands.state is not State.AVAILABLE:
                return stands
        return Stands(State.AVAILABLE)

    def _made(self, one: Recovering) -> Iterator[Standing]:
        if one.point.kind is not Kind.CLUSTER:
            yield self.databases.instance(one.name)
            return
        yield self.databases.cluster(one.name)
        for name, _ in members(one):
            yield self.databases.instance(name)

    def found(self, one: Recovering, /) -> Settings:
        """Members under the names of those in whose place they are."""
        arn = _beside(one.point.resource, one.name)
        found = dict(as_written(one.point, self.databases.settings(arn)))
        originals = {name: settings["DBInstanceIdentifier"] for name, settings in members(one)}
        found["Members"] = [
            {**member, "DBInstanceIdentifier": originals[member["DBInstanceIdentifier"]]}
            for member in found.get("Members", ())
            if member["DBInstanceIdentifier"] in originals
        ]
        return found

    def changes(self, one: Recovering, found: Settings, /) -> list[Change]:
        is_cluster = one.point.kind is Kind.CLUSTER
        groups = known.OF_CLUSTERS if is_cluster else known.OF_INSTANCES
        whole = list(known.changes(one.settings, found, one.name, groups, ""))
        are = _by_name(found)
        return whole + [
            change
            for name, wanted in members(one)
            for of in (wanted["DBInstanceIdentifier"],)
            for change in known.changes(
                wanted, are.get(of, {}), name, known.OF_MEMBERS, f" of {of}"
            )
        ]

    def change(self, one: Recovering, change: Change, /) -> str:
        kind = one.point.kind if change.what == one.name else Kind.DATABASE
        return self.recoverer.change(change.what, kind, change.arguments)

    def differences(self, one: Recovering, found: Settings, /) -> list[Difference]:
        are = _by_name(found)
        of_members = [
            difference
            for name, wanted in _by_name(one.settings).items()
            for difference in known.differences(wanted, are.get(name, {}), f" of {name}")
        ]
        return known.differences(one.settings, found) + of_members

    def handover(self, one: Recovering, /) -> Handover:
        """Of half of it, too: what is not there, its command says so."""
        is_cluster = one.point.kind is Kind.CLUSTER
        arn, endpoint, removal = _beside(one.point.resource, one.name), "", []
        made = []
        if found := self._found(one.name, one, is_cluster=is_cluster):
            made.append(f"{'cluster' if is_cluster else 'instance'} {arn}")
            endpoint = found.endpoint
        for name, settings in members(one):
            if self._found(name, one, is_cluster=False):
                original = settings["DBInstanceIdentifier"]
                made.append(f"instance {name}, as {original} was to the original")
                removal.append(_deletion(name))
        if found:
            removal += _removal(one.name, is_cluster=is_cluster)
        steps = (*self._steps(one, is_cluster=is_cluster), *_cut_over(one, endpoint, is_cluster))
        return Handover(tuple(made), steps, tuple(removal))

    def _found(self, name: str, one: Recovering, *, is_cluster: bool) -> Standing | None:
        """None also of what somebody else has made."""
        shown = self.databases.cluster if is_cluster else self.databases.instance
        try:
            found = shown(name)
        except NotThere:
            return None
        return found if _is_of(one, found) else None

    def _steps(self, one: Recovering, *, is_cluster: bool) -> Iterator[ByHand]:
        made_by_rds = one.settings.get("DBClusterInstanceClass")
        if is_cluster and not made_by_rds and not any(members(one)):
            member = command(
                "aws", "rds", "create-db-instance", "--db-cluster-identifier", one.name,
                "--db-instance-identifier", f"{one.name}-1", "--db-instance-class", "<class>",
                "--engine", self.databases.engine(
                    naming.rds_name(one.point.parts[0].snapshot)
                ),
            )  # fmt: skip
            yield ByHand(
                "Which members the original had is unknown; nobody can use it yet:", (member,)
            )
        yield from known.by_hand(one.settings, one.name, is_cluster=is_cluster)


def members(one: Recovering) -> Iterator[tuple[str, Settings]]:
    """The name of each member to be made, and what its original was like."""
    originals = one.settings.get("Members", ()) if one.point.kind is Kind.CLUSTER else ()
    if one.settings.get("DBClusterInstanceClass"):
        originals = ()  # with readable standbys a cluster makes its members itself
    for number, settings in enumerate(originals, start=1):
        yield f"{one.name}-{number}", settings


def _by_name(settings: Settings) -> Mapping[str, Settings]:
    return {one["DBInstanceIdentifier"]: one for one in settings.get("Members", ())}


def _stands(found: Standing, one: Recovering) -> Stands:
    """Raises Refused if it is not of this recovery."""
    if not _is_of(one, found):
        why = f"{found.name} is there, and this recovery has not made it"
        raise Refused("rds:Describe", "NotOurs", why)
    if found.state in READY:
        return Stands(State.AVAILABLE)
    if found.state in BROKEN:
        return Stands(State.BROKEN, f"RDS shows {found.name} as {found.state}")
    return Stands(State.COMING, f"{found.name} to be available: it is {quoted(found.state)}")


def _is_of(one: Recovering, found: Standing) -> bool:
    return found.tags.get(naming.TAG_RUN) == one.tags[naming.TAG_RUN]


def _beside(arn: str, name: str) -> str:
    return f"{arn.rsplit(':', 1)[0]}:{name}"


# ── For people ────────────────────────────────────────────────────────────────────────────────────


def _cut_over(one: Recovering, endpoint: str, is_cluster: bool) -> Iterator[ByHand]:  # noqa: FBT001
    original = naming.rds_name(one.point.resource)
    where = f" ({endpoint})" if endpoint else ""
    kind = "cluster" if is_cluster else "instance"
    renamed = [
        command(
            "aws", "rds", f"modify-db-{kind}", f"--db-{kind}-identifier", old,
            f"--new-db-{kind}-identifier", new, "--apply-immediately",
        )
        for old, new in ((original, f"{original[:58]}-old"), (one.name, original))
    ]  # fmt: skip
    yield ByHand(
        f"Cut over: look into it first; then point the application at its endpoint{where}, or "
        "rename both, so that it answers at the original's address:",
        tuple(renamed),
    )


def _removal(name: str, *, is_cluster: bool) -> list[str]:
    kind = "cluster" if is_cluster else "instance"
    unprotected = command(
        "aws", "rds", f"modify-db-{kind}", f"--db-{kind}-identifier", name,
        "--no-deletion-protection", "--apply-immediately",
    )  # fmt: skip
    deletion = _deletion(name)
    if is_cluster:
        deletion = command(
            "aws", "rds", "delete-db-cluster", "--db-cluster-identifier", name,
            "--skip-final-snapshot",
        )  # fmt: skip
    return [unprotected, deletion]


def _deletion(name: str) -> str:
    return command(
        "aws", "rds", "delete-db-instance", "--db-instance-identifier", name,
        "--skip-final-snapshot",
    )  # fmt: skip
