"""A tiny account whose volumes are drilled, and what there is afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import ebs_blocks
from local.aws.ebs_blocks import EbsBlocks
from local.cloud import Cloud
from local.disks import Layout
from tests.crash.ends import is_busy, stands, told
from tests.crash.evidence import Filed, chains_of, without_page
from tests.crash.night import BEFORE, NIGHT, PACE, PLAN, POLICY, items

PLAIN, SECRET = "plain", "secret"
"""The account: two volumes, and the second is under a key of its owner's."""
LAYOUTS = {PLAIN: Layout.ROOT_EXT4, SECRET: Layout.ROOT_XFS}
ROUND = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""Started by the tick after it, at 3:46."""
TICK = timedelta(minutes=46)
READING = {"blocks": "1d", **dict.fromkeys(("restore", "check", "exercise"), "never")}
DRILLS: dict[str, Any] = {"schedule": "0 3 * * *", "every": READING}
BACKUPS = POLICY | {"removal": {"schedule": "0 23 * * *"}}


@dataclass
class Account:
    """The box, and the ids of what is in it."""

    cloud: Cloud
    volumes: dict[str, str]
    key: str

    @property
    def blocks(self) -> EbsBlocks:
        return ebs_blocks.installed_in(self.cloud)

    @property
    def bucket(self) -> str:
        return self.cloud.physical_id("EvidenceBucket")

    def arn(self, name: str) -> str:
        here = f"{self.cloud.region}:{self.cloud.account_id}"
        return f"arn:aws:ec2:{here}:volume/{self.volumes[name]}"

    def record(self, name: str) -> dict[str, Any]:
        """The newest recovery point in the catalogue, as it is stored."""
        found = [one for one in items(self.cloud) if one["pk"] == f"POINT#{self.arn(name)}"]
        return max(found, key=lambda one: str(one["sk"]))

    def snapshot(self, name: str) -> str:
        return str(self.record(name)["parts"][0]["snapshot"])

    def rewrite(self, name: str, **changes: Any) -> None:
        """Change what the catalogue says of the newest recovery point."""
        from watchkeeper.aws.table import pack  # noqa: PLC0415, the layer is importable inside a box

        self.cloud.client("dynamodb").put_item(
            TableName=self.cloud.physical_id("Table"), Item=pack(self.record(name) | changes)
        )

    def hashes(self, name: str) -> dict[str, str]:
        """The sampled blocks that the first look has kept, by number."""
        key = f"manifests/{self.record(name)['id']}.blocks.json"
        answer = self.cloud.client("s3").get_object(Bucket=self.bucket, Key=key)
        kept: dict[str, str] = json.loads(answer["Body"].read())["volumes"][self.volumes[name]][
            "hashes"
        ]
        return kept


@contextmanager
def account(**options: Any) -> Iterator[Account]:
    """The morning after the first night: each volume has a recovery point, and none was drilled."""
    thin = options.pop("thin", timedelta(minutes=15))
    with Cloud(BEFORE, seeded=False, thin=thin, pace=PACE, **options) as cloud:
        for name, policy in (("backups", BACKUPS), ("drills", DRILLS)):
            cloud.client("ssm").put_parameter(
                Name=f"/watchkeeper/policy/{name}", Value=json.dumps(policy), Type="String"
            )
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        made = Account(cloud, {}, key)
        for name, layout in LAYOUTS.items():
            encrypted = {"Encrypted": True, "KmsKeyId": key} if name == SECRET else {}
            made.volumes[name] = _volume(cloud, name, encrypted)
            made.blocks.lay_out(made.volumes[name], layout)
        cloud.clock.run_until(NIGHT + timedelta(minutes=30))
        yield made


def _volume(cloud: Cloud, name: str, encrypted: dict[str, Any]) -> str:
    tags = [{"Key": "Name", "Value": name}, {"Key": "backup-plan", "Value": PLAN}]
    volume = cloud.client("ec2").create_volume(
        AvailabilityZone=f"{cloud.region}a", Size=4, **encrypted,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )  # fmt: skip
    return str(volume["VolumeId"])


# ── Letting time pass ─────────────────────────────────────────────────────────────────────────────


def run_round(made: Account) -> "Outcome":
    """Until the round that comes next, and on until nothing is due any more."""
    made.cloud.clock.run_until(ROUND + TICK + timedelta(minutes=1))
    return settle(made)


def settle(made: Account) -> "Outcome":
    end = made.cloud.clock.now() + timedelta(hours=8)
    while is_busy(made.cloud) and made.cloud.clock.now() < end:
        made.cloud.clock.run_for(timedelta(minutes=5))
    return outcome(made)


def drill(made: Account, name: str, level: str = "blocks", **more: Any) -> Filed:
    """By hand, now; what it has left."""
    number = len(made.cloud.functions.invocations)
    event = {"trigger": "by-hand", "request_id": f"now-{number}", "resource": made.arn(name)}
    invocation = made.cloud.invoke("DrillRestores", {**event, "level": level, **more})
    assert invocation.ok, invocation.error
    return outcome(made).chains[name][-1]


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    chains: dict[str, tuple[Filed, ...]]
    """Per volume, its evidence in order."""
    breaks: tuple[str, ...]
    """Where a chain is not whole, by its newest proof in the table."""
    pages: dict[str, int]
    """Of each volume, how many documents have no page beside them."""
    proofs: dict[str, dict[str, str]]
    """Per volume and level, the verdict that the table has."""
    runs: dict[str, str]
    """Of the runs of drills, how each stands."""
    news: tuple[str, ...]
    told: tuple[str, ...]
    """Subjects of pages; those of alarms have tests of their own."""


def outcome(made: Account) -> Outcome:
    cloud, stored = made.cloud, items(made.cloud)
    arns = {name: made.arn(name) for name in made.volumes}
    chains, breaks = chains_of(cloud, arns, stored)
    runs = [one for one in stored if one["sk"] == "RUN" and one["pk"].startswith("RUN#drill#")]
    return Outcome(
        chains=chains,
        breaks=breaks,
        pages=without_page(cloud, arns),
        proofs={name: _proved(arn, stored) for name, arn in arns.items()},
        runs={one["pk"].removeprefix("RUN#drill#"): stands(one) for one in runs},
        news=tuple(news.json()["type"] for news in cloud.published("NewsTopic")),
        told=told(cloud),
    )


def _proved(arn: str, stored: list[dict[str, Any]]) -> dict[str, str]:
    latest = [
        one for one in stored if one["pk"] == f"PROOF#{arn}" and one["sk"].startswith("LEVEL#")
    ]
    return {one["level"]: one["verdict"] for one in latest}
