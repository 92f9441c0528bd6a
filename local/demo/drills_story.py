"""What people do to the recovery tests, and to their data, in the week of the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from local.aws import rds_restores
from local.cloud import Cloud
from local.demo.week import Happening
from watchkeeper.aws.catalogue import Catalogue

HALVED = "harbour-loyalty"
HALF = 50
"""Percent of its rows that are gone."""
POLICY: Mapping[str, Any] = {
    "version": 1,
    "every": {"check": "7d"},
    "plans": {"gold": {"rto": "4h"}, "silver": {"rto": "8h"}, "postgres": {"rto": "8h"}},
    "budget": {"at_once": 2, "per_run_usd": 5, "per_month_usd": 30},
    "checks": [
        {
            "tag": {"key": "environment", "value": "production"},
            "database": "shop",
            "queries": [
                {
                    "name": "schema version",
                    "query": "select max(version) from migrations",
                    "at_least": 11,
                },
                {
                    "name": "rows of orders",
                    "query": "select count(*) from orders",
                    "at_least": 400_000,
                },
                {
                    "name": "newest order",
                    "query": "select max(created_at) from orders",
                    "newest": True,
                },
            ],
        }
    ],
    "sign_off": ["ops@harbour.example"],
}
"""A week where the default has a month, so that one is long enough; and what the databases of
production are asked.
"""

WRITES = "writes the policy of drills: everything restored and checked each week, two at a time"
DELETES = f"tidies up in {HALVED}, and deletes half of its rows; nobody notices"

ASKS = f"asks for a drill of {HALVED}, by hand: its turn would come next week"


def story(start: datetime, days: int) -> list[Happening]:
    """Everything that is done from outside, oldest first; `start` is the Monday's midnight."""

    def on(day: int, hour: int, minute: int = 0) -> datetime:
        return start + timedelta(days=day, hours=hour, minutes=minute)

    return [
        Happening(on(0, 0), "operator", WRITES, _write),
        Happening(on(0, 3, 20), "somebody", DELETES, lambda _: None),
        *([Happening(on(1, 10), "operator", ASKS, _ask)] if days > 1 else []),
        # From then on each night's snapshot has the rest alone.
        *(Happening(on(day, 5), "chance", "", _halve) for day in range(days)),
    ]


def _ask(cloud: Cloud) -> None:
    aws = cloud.client("rds")
    arn = aws.describe_db_instances(DBInstanceIdentifier=HALVED)["DBInstances"][0]["DBInstanceArn"]
    event = {"trigger": "by-hand", "request_id": "tuesday", "resource": arn, "level": "check"}
    cloud.invoke("DrillRestores", event, asynchronous=True)


def _write(cloud: Cloud) -> None:
    prefix = cloud.functions.find("DrillRestores").environment["POLICY_PREFIX"]
    cloud.client("ssm").put_parameter(
        Name=f"{prefix}/drills", Value=json.dumps(POLICY), Type="String", Overwrite=True
    )


def _halve(cloud: Cloud) -> None:
    """The newest snapshot of the database."""
    aws = cloud.client("rds")
    arn = aws.describe_db_instances(DBInstanceIdentifier=HALVED)["DBInstances"][0]["DBInstanceArn"]
    points = Catalogue(cloud.physical_id("Table"), cloud.stack_name).of(arn)
    snapshot = points[-1].parts[0].snapshot.split(":", 6)[6]
    rds_restores.installed_in(cloud).purge(snapshot, HALF)
