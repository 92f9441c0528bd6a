"""L2 of databases: what RDS shows of a restored one, compared with what was backed up; and the
stand-ins that the checks of databases must refuse. Pure.

Compared is what the snapshot keeps, and what the restore was told; database_settings.py says which
settings those are, and which no restore keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper import naming
from watchkeeper.drills import database_answers as answers
from watchkeeper.drills.database_answers import Asked
from watchkeeper.drills.database_settings import Settings
from watchkeeper.drills.model import Check, Level, Questioned
from watchkeeper.quoting import quoted

VERSION = 1
"""Of the checks in this file."""
KEPT = ("Engine", "EngineVersion", "MasterUsername")
"""What a snapshot keeps, under the same name there and of a database."""
GROUPS = "VpcSecurityGroups"
NO_KEY = "none"
"""In place of the ARN of a key."""


@dataclass(frozen=True)
class Expected:
    """What a restored database has to show."""

    told: Settings
    """What its restore was told."""
    kept: Settings
    """What its snapshot keeps."""
    isolation: Settings
    tags: Mapping[str, str]
    gib: int | None
    """The least size; None where RDS does not tell sizes."""


@dataclass(frozen=True)
class Found:
    """What it shows, in the same words."""

    settings: Settings
    tags: Mapping[str, str] = field(default_factory=dict)
    gib: int = 0


def of_snapshot(snapshot: Settings) -> dict[str, Any]:
    """What a snapshot keeps, as Describe shows it."""
    port = {"Port": snapshot["Port"]} if snapshot.get("Port") else {}
    return {**_kept(snapshot), **port}


def of_database(shown: Settings) -> dict[str, Any]:
    """The same of an instance or a cluster, and where it is."""
    endpoint, group = shown.get("Endpoint"), shown.get("DBSubnetGroup")
    return {
        **_kept(shown),
        "Port": endpoint.get("Port") if isinstance(endpoint, Mapping) else shown.get("Port"),
        "DBSubnetGroup": group["DBSubnetGroupName"] if isinstance(group, Mapping) else group,
        GROUPS: sorted(one["VpcSecurityGroupId"] for one in shown.get(GROUPS, ())),
        "PubliclyAccessible": shown.get("PubliclyAccessible"),
    }


def _kept(shown: Settings) -> dict[str, Any]:
    is_encrypted = shown.get("StorageEncrypted") or shown.get("Encrypted")
    plain = {name: shown[name] for name in KEPT if name in shown}
    return {**plain, "KmsKeyId": shown.get("KmsKeyId") if is_encrypted else NO_KEY}


def checks(expected: Expected, found: Found) -> list[Check]:
    """Every setting that can be compared, one by one."""
    return [
        *(
            _setting("database setting", name, value, found, "as it was told")
            for name, value in sorted(expected.told.items())
            if name not in expected.isolation
        ),
        *(
            _setting("database setting", name, value, found, "as it was backed up")
            for name, value in sorted(expected.kept.items())
        ),
        *(
            _setting("database isolation", name, value, found, "apart from everything else")
            for name, value in sorted(expected.isolation.items())
        ),
        *([_storage(expected.gib, found.gib)] if expected.gib is not None else []),
        _tags(expected.tags, found.tags),
    ]


def _setting(question: str, name: str, value: object, found: Found, whence: str) -> Check:
    shown = found.settings.get(name)
    return Check(
        f"{question} of {name}", Level.RESTORE, VERSION,
        f"{quoted(value)}, {whence}", quoted(shown), passed=shown == value,
    )  # fmt: skip


def _storage(least: int, gib: int) -> Check:
    return Check(
        "database storage", Level.RESTORE, VERSION,
        f"at least {least} GiB, as it was backed up", f"{gib} GiB", passed=gib >= least,
    )  # fmt: skip


def _tags(expected: Mapping[str, str], found: Mapping[str, str]) -> Check:
    missing = sorted(name for name, value in expected.items() if found.get(name) != value)
    return Check(
        "database tags", Level.RESTORE, VERSION,
        "those of the drill, by which it is found and removed",
        f"all but {', '.join(missing)}" if missing else "all of them", passed=not missing,
    )  # fmt: skip


# ── Stand-ins ─────────────────────────────────────────────────────────────────────────────────────


def tampered() -> list[Check]:
    """A database is there, with other settings and other rows."""
    found = Found({"EngineVersion": "15.4", "PubliclyAccessible": True}, {"other": "1"}, 19)
    document = {
        "answers": {
            "": {"databases": "1"},
            "shop": {
                answers.TABLES: "2", answers.FILLED: "0", answers.BYTES: "899",
                "rows": "1", "release": "2026.10", "newest": "2026-11-22T01:59:59Z",
            },
        }
    }  # fmt: skip
    return [
        *checks(EXPECTED, found),
        *answers.judged(ASKED, document).checks,
        *answers.judged(ASKED, {"failed": "wrong password"}).checks,
    ]


def empty() -> list[Check]:
    """Nothing is there but a server."""
    return [*checks(EXPECTED, Found({})), *answers.judged(ASKED, {}).checks]


EXPECTED = Expected(
    told={"DBInstanceClass": "db.t4g.medium"},
    kept={"EngineVersion": "16.3"},
    isolation={"PubliclyAccessible": False},
    tags={naming.TAG_DRILL: "stand-in"},
    gib=20,
)
ASKED = Asked(
    created_at=datetime(2026, 11, 23, 2, tzinfo=UTC),
    objective=timedelta(days=1),
    questions=(
        Questioned("shop", "rows", "select count(*) from orders", at_least=2),
        Questioned("shop", "release", "select max(version) from migrations", equal="2026.11"),
        Questioned("shop", "newest", "select max(created_at) from orders", newest=True),
    ),
    before={
        "databases of the server": "2",
        "database tables of shop": "3",
        "database filled tables of shop": "3",
        "database bytes of shop": "1000",
        "decline of rows in shop": "1000",
    },
)
