"""What a drill will cost, in USD, estimated before anything is asked for. Pure.

Prices are the list prices of us-east-1, on demand, without taxes, free tiers and discounts, as they
are known in November 2026. They are ESTIMATES: what is not known is taken on the high side, and
said in `Estimate.unknown`. No factor for the Region is applied: most are dearer, São Paulo by more
than half. A budget is a guard rail, not a bill; Cost Explorer has that, by the tags of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from watchkeeper.backups.model import Kind, RecoveryPoint
from watchkeeper.drills.model import Level

HOURS_IN_MONTH = 730
"""How AWS turns a price per month into one per hour."""
STANDARD = "standard"
"""`Place.tier` of what can be read at once; anything else must be brought back first."""

# ── Prices ────────────────────────────────────────────────────────────────────────────────────────

# https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html
LIST_BLOCKS = 0.0006 / 1000
"""Per ListSnapshotBlocks request."""
GET_BLOCK = 0.003 / 1000
"""Per block that GetSnapshotBlock returns."""

# https://aws.amazon.com/ebs/pricing/
VOLUME_MONTH = 0.08
"""Per GiB of a gp3 volume and month: drills make no others, whatever the original is."""
ARCHIVE_RETRIEVAL = 0.03
"""Per GiB brought back from the archive tier."""

# https://aws.amazon.com/rds/pricing/ and https://aws.amazon.com/rds/aurora/pricing/
DATABASE_LARGE = {
    "t3": 0.164, "t4g": 0.146,
    "m5": 0.178, "m6g": 0.159, "m6i": 0.178, "m7g": 0.168, "m7i": 0.187,
    "r5": 0.290, "r6g": 0.260, "r6i": 0.290, "r7g": 0.276, "r7i": 0.304,
}  # fmt: skip
"""Per hour of a `.large` in one zone: the dearest of MySQL, PostgreSQL and Aurora. Other sizes cost
in proportion (`SIZES`).
"""
SIZES = {"micro": 0.125, "small": 0.25, "medium": 0.5, "large": 1.0, "xlarge": 2.0}
"""Times a `.large`; a `4xlarge` is four times an `xlarge`."""
UNKNOWN_CLASS = 2.32
"""Per hour: an `r5.4xlarge` of Aurora, larger than most. What is unknown should look dear, so that
somebody says what it is, and not fill the budget with surprises.
"""
SERVERLESS = 8 * 0.12
"""Per hour of Aurora Serverless v2: eight capacity units, twice what a drill's questions need."""
LICENSED = 5
"""Times the open-source price: about what SQL Server Enterprise with its licence comes to."""
DATABASE_MONTH = 0.125
"""Per GiB of storage and month: io1, the dearest; gp3 is 0.115, Aurora 0.10."""

# https://aws.amazon.com/dynamodb/pricing/on-demand/
TABLE_RESTORE = 0.15
"""Per GB restored, from any backup."""
TABLE_MONTH = 0.25
"""Per GB of a restored table and month."""
TABLE_READ = 0.032
"""Per GB that is read, strongly consistently: a quarter of a million units of 4 KB, at $0.125 per
million.
"""
MOST_READ = 10
"""GB of one table, as table_reading.py says."""

# https://aws.amazon.com/ec2/pricing/on-demand/
VERIFIER = 0.0208
"""Per hour of the instance that asks: a t3.small; a t4g.small is 0.0168."""
# https://aws.amazon.com/privatelink/pricing/
ENDPOINT = 0.01
"""Per hour of an interface endpoint in one zone; each hour that has begun counts as a whole one."""
ENDPOINTS = 3
"""Without a way out, an instance reaches Systems Manager by `ssm`, `ssmmessages`, `ec2messages`:
https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
"""

# ── How much of it a drill uses ───────────────────────────────────────────────────────────────────

BLOCKS_IN_GIB = 2048
"""EBS reads snapshots in blocks of 512 KiB."""
BLOCKS_IN_LISTING = 10_000
"""Most that one ListSnapshotBlocks answers with."""
SAMPLED_BLOCKS = 1_000
"""Most blocks of one volume that are read: 500 MiB."""

START = timedelta(hours=1)
"""From asking to available, for what is small: RDS sets up an instance, DynamoDB partitions."""
GIB_PER_HOUR = 100
"""How fast data arrives from S3 where it must all be read: measured restores are mostly faster."""
QUESTIONS = timedelta(minutes=30)
"""What the verifier needs, its own start included."""
EXERCISE = timedelta(hours=8)
"""A person has a working day for a page."""


@dataclass(frozen=True)
class Shape:
    """What a resource is made of, as far as that costs money; empty where it is not known."""

    instance_class: str = ""
    """`db.r6g.large`: what a restored database will run on."""
    engine: str = ""
    """`postgres`, `aurora-mysql`, `sqlserver-se`, as RDS names it."""


UNKNOWN_SHAPE = Shape()
COMMERCIAL = {
    "bring-your-own-license": "oracle",
    "license-included": "sqlserver",
    "marketplace-license": "db2",
}
"""An engine of each sort of licence that costs more than none."""


def shape_of(settings: Mapping[str, Any]) -> Shape:
    """By the settings in the manifest of a database, or of a cluster, whose members have classes.
    They do not name the engine; the licence tells whether it is a dear one.
    """
    members = settings.get("Members", [])
    classes = [str(member.get("DBInstanceClass", "")) for member in members]
    own = settings.get("DBInstanceClass", settings.get("DBClusterInstanceClass", ""))
    engine = COMMERCIAL.get(str(settings.get("LicenseModel", "")), "")
    return Shape(str(own or next(iter(classes), "")), engine)


@dataclass(frozen=True)
class Estimate:
    usd: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """What makes it up, in USD, in words."""
    unknown: tuple[str, ...] = ()
    """What was not known and is estimated on the high side, in sentences."""

    def line(self) -> str:
        """For people: `$0.31: instance 0.26, endpoints 0.05`."""
        shown = {name: f"{usd:.2f}" for name, usd in self.parts.items()}
        made_of = ", ".join(f"{name} {usd}" for name, usd in shown.items() if usd != "0.00")
        notes = f" ({'; '.join(self.unknown)})" if self.unknown else ""
        return f"${self.usd:.2f}" + (f": {made_of}" if made_of else "") + notes


def estimate(point: RecoveryPoint, level: Level, shape: Shape = UNKNOWN_SHAPE) -> Estimate:
    """What drilling a recovery point at a level will cost, about."""
    if level is Level.METADATA:
        return Estimate(0.0)
    if level is Level.BLOCKS:
        return _total({"blocks read": _blocks(point)}, ())
    lasts = expected(point, level)
    parts, unknown = _restored(point, shape, lasts)
    if point.place.tier != STANDARD:
        parts["brought back from the archive"] = _gib(point) * ARCHIVE_RETRIEVAL
    if level is not Level.RESTORE:
        parts |= _asking(point, lasts)
    return _total(parts, unknown)


def expected(point: RecoveryPoint, level: Level) -> timedelta:
    """How long what a drill makes will be there, about."""
    arriving = timedelta(hours=_gib(point) / GIB_PER_HOUR)
    asking = {Level.CHECK: QUESTIONS, Level.EXERCISE: EXERCISE}.get(level, timedelta(0))
    return START + arriving + asking


def _total(parts: Mapping[str, float], unknown: Sequence[str]) -> Estimate:
    return Estimate(sum(parts.values()), parts, tuple(unknown))


def _gib(point: RecoveryPoint) -> int:
    return sum(part.gib for part in point.parts)


def _blocks(point: RecoveryPoint) -> float:
    """Every block is listed, few are read."""
    total = 0.0
    for part in point.parts:
        blocks = part.gib * BLOCKS_IN_GIB
        total += -(-blocks // BLOCKS_IN_LISTING) * LIST_BLOCKS
        total += min(blocks, SAMPLED_BLOCKS) * GET_BLOCK
    return total


def _restored(
    point: RecoveryPoint, shape: Shape, lasts: timedelta
) -> tuple[dict[str, float], list[str]]:
    """What the restored thing costs while it is there, and what of that is a guess."""
    hours = lasts / timedelta(hours=1)
    gib = _gib(point)
    match point.kind:
        case Kind.INSTANCE | Kind.VOLUME:
            return {"volumes": gib * VOLUME_MONTH / HOURS_IN_MONTH * hours}, []
        case Kind.DATABASE | Kind.CLUSTER:
            hourly, unknown = _hourly(shape)
            storage = gib * DATABASE_MONTH / HOURS_IN_MONTH * hours
            return {"database instance": hourly * hours, "its storage": storage}, unknown
        case Kind.TABLE:
            storage = gib * TABLE_MONTH / HOURS_IN_MONTH * hours
            return {"table restored": gib * TABLE_RESTORE, "its storage": storage}, []


def _hourly(shape: Shape) -> tuple[float, list[str]]:
    """Of a database's instance, and what of that is a guess."""
    times = LICENSED if shape.engine.startswith(("oracle", "sqlserver", "db2", "custom")) else 1
    notes = [f"{shape.engine}: taken as {LICENSED} times the open-source price"] * (times > 1)
    if shape.instance_class == "db.serverless":
        return SERVERLESS, [*notes, "db.serverless: taken as 8 capacity units"]
    family, _, size = shape.instance_class.removeprefix("db.").partition(".")
    large, factor = DATABASE_LARGE.get(family), _factor(size)
    if large is None or factor is None:
        named = f"class {shape.instance_class}" if shape.instance_class else "the class"
        # Never less than the same size of the dearest family that is known.
        price = max(UNKNOWN_CLASS, max(DATABASE_LARGE.values()) * (factor or 0))
        return price * times, [*notes, f"{named} not known: taken as ${price:.2f} an hour"]
    return large * factor * times, notes


def _factor(size: str) -> float | None:
    """How many times a `.large` a size costs; None for one that is not known."""
    count = size.removesuffix("xlarge")
    if count.isdecimal():
        return int(count) * SIZES["xlarge"]
    return SIZES.get(size)


def _asking(point: RecoveryPoint, lasts: timedelta) -> dict[str, float]:
    """What it costs to look into the restored thing."""
    if point.kind is Kind.TABLE:
        return {"items read": min(_gib(point), MOST_READ) * TABLE_READ}
    hours = lasts / timedelta(hours=1)
    whole = -(-lasts // timedelta(hours=1))
    return {"verifier": VERIFIER * hours, "interface endpoints": ENDPOINTS * ENDPOINT * whole}
