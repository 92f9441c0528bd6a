"""What people and chance do to the recovery tests of the seeded account in the week of the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from local.aws import rds_restores
from local.cloud import Cloud
from local.demo.week import Happening
from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue

HALVED = "harbour-loyalty"
SIGNS = "ops@harbour.example"
QUESTIONS: Mapping[str, Any] = {
    "tag": {"key": "environment", "value": "production"},
    "database": "shop",
    "queries": [
        {
            "name": "schema version",
            "query": "select max(version) from migrations",
            "at_least": 11,
        },
        {"name": "rows of orders", "query": "select count(*) from orders", "at_least": 400_000},
        {"name": "newest order", "query": "select max(created_at) from orders", "newest": True},
    ],
}
POLICY: Mapping[str, Any] = {
    "version": 1,
    "schedule": "0 9 * * *",
    "every": {"check": "7d"},
    "plans": {"gold": {"rto": "4h"}, "silver": {"rto": "8h"}, "postgres": {"rto": "8h"}},
    "budget": {"at_once": 2, "per_run_usd": 30, "per_month_usd": 180},
    "checks": [QUESTIONS],
    "sign_off": [SIGNS],
}

WRITES = "x"
DELETES = f"tidies {HALVED} up, and deletes every second order; nobody notices"


def story(start: datetime) -> list[Happening]:
    """Everything that is done from outside, oldest first; `start` is the Monday's midnight."""

    def on(day: int, hour: int, minute: int = 0) -> datetime:
        return start + timedelta(days=day, hours=hour, minutes=minute)

    return [
        Happening(on(0, 0), "operator", WRITES, _write),
        Happening(on(0, 3, 20), "somebody", DELETES, lambda _: None),
        *(Happening(on(day, 5), "chance", "", _halve) for day in range(31)),
    ]


def _write(cloud: Cloud) -> None:
    prefix = cloud.functions.find("DrillRestores").environment["POLICY_PREFIX"]
    cloud.client("ssm").put_parameter(
        Name=f"{prefix}/drills", Value=json.dumps(POLICY), Type="String", Overwrite=True
    )


def _halve(cloud: Cloud) -> None:
    arn = f"arn:aws:rds:{cloud.region}:{cloud.account_id}:db:{HALVED}"
    points = Catalogue(cloud.physical_id("Table"), cloud.stack_name).of(arn)
    for point in points[-1:]:
        known = point.parts[0].snapshot
        rds_restores.installed_in(cloud).purge(known.split(":", 6)[6], 50)
